"""What the service does, each walking the same gate."""
