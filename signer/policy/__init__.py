"""What may be signed, by rules of the owners: a policy takes facts and gives a verdict."""
