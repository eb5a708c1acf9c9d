"""Guest memory: page tables, the guarded pool, kernel stacks, views of structures."""
