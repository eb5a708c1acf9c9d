"""Dumps of Windows kernels: what a bug check says, and which driver it points at."""

from harness.guest.dump.analysis import Crash, read_crash
from harness.guest.dump.bugchecks import Explanation, explain
from harness.guest.dump.errors import DumpError
from harness.guest.dump.symbols import Symbols

__all__ = ["Crash", "DumpError", "Explanation", "Symbols", "explain", "read_crash"]
