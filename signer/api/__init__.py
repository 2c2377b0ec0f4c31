"""The HTTP edge: parse, call one operation, answer."""
