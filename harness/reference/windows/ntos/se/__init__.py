"""se: security descriptors and tokens."""
