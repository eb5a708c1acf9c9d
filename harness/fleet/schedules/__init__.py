"""Exploring schedules: one test under many interleavings, and the fewest switches that make it fail."""
