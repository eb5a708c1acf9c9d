"""The pytest plugin: options, marks, fixtures and what is kept of a failure; one feature, one module."""
