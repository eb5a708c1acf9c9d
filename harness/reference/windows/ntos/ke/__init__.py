"""ke: IRQL, waits, timers, events, and what processors show drivers."""
