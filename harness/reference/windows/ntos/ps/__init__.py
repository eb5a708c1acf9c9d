"""ps: processes and threads."""
