"""Power manager."""
