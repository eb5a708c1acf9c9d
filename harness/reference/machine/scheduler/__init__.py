"""Threads, processors, DPCs, timers and dispatcher objects in virtual time."""
