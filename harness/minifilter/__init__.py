"""Minifilters: packages, building, signing, I/O scripts, events and traces. Touches no guest."""
