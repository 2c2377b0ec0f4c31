"""Primitives: values in, values out."""
