"""The keys: their files, their sealed rest, the ring that serves them."""
