"""Requests that wait for people: who may approve, what counts, and the approval that is spent once."""
