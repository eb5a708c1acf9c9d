"""fltlab: tests Windows file-system minifilter drivers against the documented contract of the filter manager.

PYTEST_DONT_REWRITE: `fltlab run` imports parts of this before pytest does, which pytest would warn of.
"""
