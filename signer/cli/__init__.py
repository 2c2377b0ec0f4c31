"""The command line: a client of the same operations."""
