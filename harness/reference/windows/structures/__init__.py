"""Structures that the kernel lays out in guest memory, each declared once: what drivers read is all there is.

Names and offsets are those of wdm.h and ntifs.h (x64); tests/reference/io/test_structures.py holds them against
Microsoft's metadata. A class is called as the C type, or its docstring begins with the C type's name.
"""
