"""The filter manager: filters, instances, callbacks, contexts, ports, and what minifilters import from FLTMGR.SYS."""
