"""Policies to begin with, one for each language, and the authors' libraries that they use."""
