"""Where private keys work."""
