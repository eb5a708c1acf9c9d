"""The journal of a run: results.jsonl, one line a result, written and flushed as it comes.

A run that is killed loses nothing it has shown. The last line may then be cut short; reading ignores it. A machine that
loses its power loses at most what came in the last tenth of a second.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import ConfigurationError
from harness.report.records import TestRecord

FILE_NAME = "results.jsonl"
SYNC_SECONDS = 0.1
"""The disk is waited for once in so long: results of a thousand workers come faster than it writes one by one."""


class Journal:
    """Appends records to `results.jsonl` of a run directory, which nobody else may be doing."""

    def __init__(self, run_directory: Path) -> None:
        self.path = run_directory / FILE_NAME
        self._synced = 0.0
        self._file = self.path.open("a", encoding="utf-8")
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise ConfigurationError(
                f"the run in {run_directory} is still going on", details=("another process writes its journal",)
            ) from error
        self._mend()

    def append(self, record: TestRecord) -> None:
        """Write one record; when this returns it has left the process."""
        self._file.write(json.dumps(record.to_json(), sort_keys=True) + "\n")
        self._file.flush()
        if time.monotonic() - self._synced >= SYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def _mend(self) -> None:
        """Remove a last line that a kill has cut short: what comes next begins a line of its own."""
        written = self.path.read_bytes()
        whole = written.rfind(b"\n") + 1
        if whole == len(written):
            return
        if _parse(written[whole:].decode(errors="replace")) is None:
            os.truncate(self.path, whole)
        else:
            self._file.write("\n")

    def close(self) -> None:
        os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def read_journal(run_directory: Path) -> list[TestRecord]:
    """Every result of a run, the last one of each test, in the order they first came."""
    path = run_directory / FILE_NAME
    if not path.is_file():
        raise ConfigurationError(
            f"{run_directory} holds no run", details=(f"there is no {FILE_NAME} in it",), hint="fltlab run"
        )
    records: dict[str, TestRecord] = {}
    for record in _lines(path):
        records[record.nodeid] = record
    return list(records.values())


def _lines(path: Path) -> Iterator[TestRecord]:
    lines = path.read_text(encoding="utf-8", errors="replace").rstrip("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        record = _parse(line)
        if record is not None:
            yield record
        elif line and number < len(lines):  # the last one: the process, or the machine, died while it wrote
            raise ConfigurationError(f"{path}:{number} is not a result", details=(line[:80],))


def _parse(line: str) -> TestRecord | None:
    try:
        return TestRecord.from_json(json.loads(line))
    except (ValueError, KeyError, TypeError):
        return None
