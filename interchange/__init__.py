"""EIP-3076 interchange as a small library of its own: no I/O but `python -m interchange`."""
