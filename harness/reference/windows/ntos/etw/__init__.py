"""etw: event tracing."""
