"""Addresses in drivers under test, in words: function and line, for whoever reads why a test failed."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.fleet.scene import Scene
from harness.guest.dump.symbols import Frame, frames_at
from harness.text import safe_line

_ADDRESS = re.compile(r"(?P<service>[\w-]+)\+0x(?P<offset>[0-9a-fA-F]+)")


def places(text: str, scene: Scene) -> list[str]:
    """Lines for each address `<service>+0x<offset>` in a text that is in a driver whose PDB is there.

    The function with the address is the last: those before it, outermost first, are what it is inlined into. Then
    come three lines of source, where the source is at hand.
    """
    images = {item.entry.service: item.driver.sys for item in scene.minifilters if item.driver.pdb is not None}
    known = _frames(text, images)
    roots = {item.entry.service: item.driver.package.directory for item in scene.minifilters}
    return [line for key, frames in known.items() if frames for line in _lines(*key, frames, roots[key[0]])]


def in_words(text: str, images: Mapping[str, Path]) -> dict[str, str]:
    """Function and line of each address `<service>+0x<offset>` in a text, by images with their PDBs beside them."""
    return {
        f"{service}+0x{offset:x}": f"{frames[-1].function}{f' [{frames[-1].source}]' if frames[-1].source else ''}"
        for (service, offset), frames in _frames(text, images).items()
        if frames
    }


def with_words(text: str, words: Mapping[str, str]) -> str:
    """A text with function and line behind each address that is in `words`."""
    return _ADDRESS.sub(lambda found: f"{found[0]} {words[found[0]]}" if found[0] in words else found[0], text)


def _frames(text: str, images: Mapping[str, Path]) -> dict[tuple[str, int], list[Frame]]:
    """The functions of each address in a text, in the text's order."""
    found = ((match["service"], int(match["offset"], 16)) for match in _ADDRESS.finditer(text))
    known: dict[tuple[str, int], list[Frame]] = {key: [] for key in found if key[0] in images}
    for service in dict.fromkeys(service for service, _ in known):
        offsets = [offset for owner, offset in known if owner == service]
        for offset, frames in zip(offsets, frames_at(images[service], offsets), strict=True):
            known[service, offset] = frames
    return known


def _lines(service: str, offset: int, frames: list[Frame], root: Path) -> Iterator[str]:
    for place, frame in enumerate(frames):
        at = f"{service}+0x{offset:x}" if not place else "  inlined there:"
        yield f"{at}  {frame.function}{f' [{frame.source}]' if frame.source else ''}"
    yield from source_lines(frames[-1], root)


def source_lines(frame: Frame, directory: Path) -> Iterator[str]:
    """The line of a frame with its neighbours; nothing where the source is not at hand.

    Drivers are built with paths from the root of their tree, which is one of the directories above the driver's own.
    """
    directory = directory.resolve()
    candidates = (above / frame.file for above in (directory, *directory.parents)) if frame.file else ()
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        return
    text = found.read_text(encoding="utf-8", errors="replace").splitlines()
    if not 0 < frame.line <= len(text):
        return
    for number in range(max(1, frame.line - 1), min(len(text), frame.line + 1) + 1):
        yield f"  {'>' if number == frame.line else ' '} {number:5}  {safe_line(text[number - 1])}"
