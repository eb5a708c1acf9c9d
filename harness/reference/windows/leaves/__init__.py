"""Leaves: exports as machine code (leaves.S), so that a call of them does not leave the emulator."""

from harness.reference.machine.loader.leaves import LeafCode
from harness.reference.windows.leaves import blob

LEAVES = LeafCode(bytes.fromhex(blob.CODE), blob.LEAVES, blob.ROUTINES)
"""All of them, as they are loaded."""
