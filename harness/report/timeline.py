"""The callback timeline of one test, as its run directory keeps it and the HTML page shows it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FILE_NAME = "timeline.json"
HEADING = "callback timeline"
"""Above the last of a test's timelines, in what is printed when it fails."""


@dataclass(frozen=True)
class TimelineRow:
    """One callback: when (microseconds after the first of the test), where, and what it returned.

    Or what a driver printed with DbgPrint: `filter` is "DbgPrint", `text` what was printed.
    """

    microseconds: float
    thread: str
    filter: str
    callback: str
    irql: str
    returned: str
    io_status: str
    text: str = ""


@dataclass(frozen=True)
class TimelineOperation:
    """One operation as the filters saw it; `title` as in "CREATE secret.txt (IRP)", "" for prints between operations.

    Without rows, a title is a remark.
    """

    title: str
    rows: tuple[TimelineRow, ...]


def write_timeline(folder: Path, operations: Sequence[TimelineOperation]) -> Path:
    """Write the timeline of a test into its folder."""
    path = folder / FILE_NAME
    path.write_text(json.dumps([asdict(operation) for operation in operations]), encoding="utf-8")
    return path


def read_timeline(folder: Path) -> list[TimelineOperation]:
    """What `write_timeline` wrote; empty for a test that did no I/O."""
    path = folder / FILE_NAME
    if not path.is_file():
        return []
    return [
        TimelineOperation(title=data["title"], rows=tuple(TimelineRow(**row) for row in data["rows"]))
        for data in json.loads(path.read_text(encoding="utf-8"))
    ]
