"""Structured exception handling on x64: table unwinding, dispatch to handlers, `__C_specific_handler`."""
