"""Holdfast: a remote signer that cannot be talked into losing its owner's money."""
