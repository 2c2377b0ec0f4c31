"""Slashing protection stores of other programs, read directly and turned into EIP-3076 documents.

A document made here is imported as every other is: the record knows one way in.
"""
