"""The journal of a run: results.jsonl, one line a result, written and flushed as it comes.

A run that is killed loses nothing it has shown. The last line may then be cut short; reading ignores it.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import ConfigurationError
from harness.report.records import TestRecord

FILE_NAME = "results.jsonl"


class Journal:
    """Appends records to `results.jsonl` of a run directory."""

    def __init__(self, run_directory: Path) -> None:
        self.path = run_directory / FILE_NAME
        self._file = self.path.open("a", encoding="utf-8")

    def append(self, record: TestRecord) -> None:
        """Write one record; when this returns it has left the process."""
        self._file.write(json.dumps(record.to_json(), sort_keys=True) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
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
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            yield TestRecord.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                return  # the process was killed while it wrote
            raise ConfigurationError(f"{path}:{number} is not a result", details=(str(error),)) from error
