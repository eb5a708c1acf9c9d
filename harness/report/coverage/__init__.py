"""Coverage of drivers' sources: what ran of their machine code, as lines, branches and functions."""
