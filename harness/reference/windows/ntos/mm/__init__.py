"""mm: MDLs, sections, and what drivers ask of the memory manager."""
