"""What starting, reaching and keeping guests costs on this machine, measured beside the alternatives."""
