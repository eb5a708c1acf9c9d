"""fltlab: tests Windows file-system minifilter drivers against the documented contract of the filter manager."""
