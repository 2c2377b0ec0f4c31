"""EIP-3076: the rules, and the record they judge by."""
