"""Fixtures of the suites: lab, guest, volume."""
