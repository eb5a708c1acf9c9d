"""The process that a reference kernel runs in: its nursery, and the requests that it answers."""
