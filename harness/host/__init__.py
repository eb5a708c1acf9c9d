"""What this machine offers: programs, an accelerator that really runs a guest, memory, disk and ports."""
