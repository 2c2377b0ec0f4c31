"""Configuration: typed, immutable, refused when it contradicts itself."""
