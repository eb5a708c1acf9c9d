"""What runs on the computer: the executive, the I/O manager, the filter manager, a file system, user mode."""
