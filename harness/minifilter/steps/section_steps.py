"""Sections over files, and views of them."""

from harness.minifilter.script_words import Protection
from harness.minifilter.steps.script_step import Named, ScriptStep, line, plain


def section(
    name: str, file: Named, *, protect: Protection | None = None, size: int | None = None, image: bool = False
) -> ScriptStep:
    """NtCreateSection: of the whole file or of `size` bytes; `image`: SEC_IMAGE."""
    return line("section", name, file, protect=protect, size=size, plain=plain(image=image))


def map(
    view: str,
    section: Named,
    *,
    protect: Protection | None = None,
    offset: int | None = None,
    length: int | None = None,
) -> ScriptStep:
    """NtMapViewOfSection: from `offset`, a multiple of 0x10000, to the end or for `length` bytes."""
    return line("map", view, section, protect=protect, offset=offset, length=length)


def peek(view: Named, *, offset: int, length: int | None = None) -> ScriptStep:
    """Load bytes of a view; `information` is how far that got, the status what the memory manager raised."""
    return line("peek", view, offset=offset, length=length)


def poke(view: Named, *, offset: int, fill: int, length: int | None = None) -> ScriptStep:
    """Store a byte so often."""
    return line("poke", view, offset=offset, length=length, fill=fill)


def unmap(view: Named) -> ScriptStep:
    """NtUnmapViewOfSection."""
    return line("unmap", view)


def close_section(section: Named) -> ScriptStep:
    """NtClose."""
    return line("close-section", section)
