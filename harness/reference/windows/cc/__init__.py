"""cc: the cache manager."""
