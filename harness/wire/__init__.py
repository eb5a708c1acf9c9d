"""What crosses the border of a process or of a run: typed messages, and the raw trace of a test."""
