"""rtl: strings, conversions, exceptions, and the C runtime."""
