"""What fltmc prints, read by the spans of its rulers.

Columns are found by the dashes under the headings, never by white space: names hold blanks, volumes and counts may be
missing, and legacy filters have neither. Sources: captures of fltmc on Windows, see docs/windows.md.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.errors import ConfigurationError, GuestError
from harness.minifilter.altitude import Altitude
from harness.nt.hresult import explain

_RULER = re.compile(r"-{3,}(\s+-{3,})*\s*")
_FAILURE = re.compile(r" failed with error:\s*0x([0-9A-Fa-f]{1,8})")
_TRANSLATED = re.compile(r"\b0x([89A-Fa-f][0-9A-Fa-f]{7})\b")


@dataclass(frozen=True)
class FilterRow:
    """A line of `fltmc filters`. A legacy filter has no instances, and perhaps no altitude."""

    name: str
    instances: int | None
    altitude: str | None
    frame: str


@dataclass(frozen=True)
class InstanceRow:
    """A line of `fltmc instances`. The volume is empty for instances on volumes without a name."""

    filter: str
    volume: str
    altitude: str
    instance: str
    frame: str

    @property
    def place(self) -> Altitude | None:
        """The altitude as a number; None for what is none."""
        try:
            return Altitude(self.altitude)
        except ConfigurationError:
            return None


@dataclass(frozen=True)
class VolumeRow:
    """A line of `fltmc volumes`. A volume without a drive letter, such as the redirector's, has no DOS name."""

    dos_name: str
    volume: str
    file_system: str


@dataclass(frozen=True)
class Failure:
    """`Load failed with error: 0x801f0013`, and the message below it."""

    operation: str
    code: int
    message: str


def parse_failure(text: str) -> Failure | None:
    """The failure that fltmc reports, if it does. Its exit codes are not documented; this text is what tells.

    In another language than English it is told by its HRESULT: what succeeds prints none.
    """
    text = text.replace("\r\n", "\n")
    match = _FAILURE.search(text) or _TRANSLATED.search(text)
    if match is None:
        return None
    lines = text[: match.start()].strip().splitlines()
    message = " ".join(text[match.end() :].split())
    return Failure(lines[-1].strip() if lines else "", int(match[1], 16), message)


def parse_filters(text: str) -> list[FilterRow]:
    """The rows of `fltmc filters`. GuestError if there is no table, or if it ends in a failure."""
    return [
        FilterRow(name, int(count) if count.isdigit() else None, altitude or None, frame)
        for name, count, altitude, frame in _table(text, "fltmc filters", 4)
    ]


def parse_instances(text: str) -> list[InstanceRow]:
    """The rows of `fltmc instances`. GuestError if there is no table, or if it ends in a failure."""
    return [InstanceRow(*cells[:5]) for cells in _table(text, "fltmc instances", 5)]


def parse_volumes(text: str) -> list[VolumeRow]:
    """The rows of `fltmc volumes`. GuestError if there is no table, or if it ends in a failure."""
    return [VolumeRow(*cells[:3]) for cells in _table(text, "fltmc volumes", 3)]


def _table(text: str, command: str, columns: int) -> Iterator[list[str]]:
    failure = parse_failure(text)
    if failure is not None:
        raise GuestError(
            f"`{command}` failed: {explain(failure.code)}",
            details=tuple(line for line in text.splitlines() if line.strip())[-8:],
        )
    lines = text.replace("\r\n", "\n").split("\n")
    rulers = [index for index, line in enumerate(lines) if _RULER.fullmatch(line.strip())]
    if not rulers:
        if not text.strip():
            return
        raise GuestError(
            f"`{command}` printed no table",
            details=tuple(line for line in lines if line.strip())[:8],
            hint="fltlab image verify compares what this guest prints with what is expected",
        )
    spans = _spans(lines[rulers[0]])
    if len(spans) < columns:
        raise GuestError(
            f"the table of `{command}` has {len(spans)} columns instead of {columns}", details=tuple(lines[:4])
        )
    for line in lines[rulers[0] + 1 :]:
        if line.strip():
            yield _cells(line, spans)


def _spans(ruler: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"-+", ruler)]


def _cells(line: str, spans: list[tuple[int, int]]) -> list[str]:
    """Cut a line at its columns; a word that overflows its column is never cut, and moves what comes after it."""
    cells: list[str] = []
    start, moved = 0, 0
    for index in range(len(spans)):
        if index + 1 == len(spans):
            cells.append(line[start:].strip())
            break
        border = spans[index][1] + moved
        end = border
        while end < len(line) and end > start and line[end - 1] != " " and line[end] != " ":
            end += 1
        moved += end - border
        following = spans[index + 1][0] + moved
        gap = line[end:following]
        # A right-aligned value may begin in the gap before its column: it belongs to the next one.
        cells.append(line[start : max(end, start)].strip())
        start = max(end, start) if gap.strip() else max(following, end)
    return cells
