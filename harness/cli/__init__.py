"""The `fltlab` command: one module per command group, and no logic of its own."""
