"""Examine what a signer stands on: its disk, its machine, its key files. Looks, and changes nothing that lasts."""
