"""cm: the registry."""
