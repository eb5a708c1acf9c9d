"""Many machines: benchmarks and soaks of them on this host."""
