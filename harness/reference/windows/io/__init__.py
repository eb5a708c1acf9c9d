"""The I/O manager: file objects, requests, and the system services that reach files."""
