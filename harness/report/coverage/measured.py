"""What the tests of a run have covered: kept test by test, put together when all have ended, and written to a file."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import ConfigurationError, HostError
from harness.minifilter.build import BuiltDriver
from harness.report.coverage.cobertura import cobertura
from harness.report.coverage.code_map import CodeMap, Instruction
from harness.report.coverage.lcov import lcov
from harness.report.coverage.line_coverage import Ran, SourceFile, lines_of, merged
from harness.report.records import TestRecord
from harness.shipped import DRIVERS
from harness.text import read_json
from harness.wire.kernel import Coverage

FILE_NAME = "coverage.json"
EYES = "observer"
"""The driver that only watches; it is measured where nothing else is."""
KINDS = {".info": "lcov", ".lcov": "lcov", ".xml": "Cobertura"}


@dataclass(frozen=True)
class Subject:
    """A driver whose code is measured: what it was loaded from, and where its sources lie."""

    name: str
    image: Path
    sha256: str
    root: Path
    has_symbols: bool

    @classmethod
    def of(cls, built: BuiltDriver) -> "Subject":
        """A driver that has been built, or came so."""
        return cls(built.name, built.sys, built.sha256, built.package.directory, built.pdb is not None)


@dataclass
class Measured:
    """The sources of each driver with what ran of them; the drivers of which nobody can say it, with the reason."""

    drivers: dict[str, list[SourceFile]] = field(default_factory=dict)
    without: dict[str, str] = field(default_factory=dict)
    suites: dict[str, str] = field(default_factory=dict)
    """How much of the lines of its drivers each suite ran."""

    @property
    def files(self) -> list[SourceFile]:
        """All files, each once."""
        return merged({file.name: file for file in files} for files in self.drivers.values())

    def write(self, target: Path, version: str) -> None:
        """Write the file, in the format that its name asks for. HostError if it cannot be written."""
        if KINDS[target.suffix] == "lcov":
            text = lcov(self.files)
        else:
            text = cobertura(self.drivers, int(time.time()), version)
        try:
            target.write_text(text, encoding="utf-8")
        except OSError as error:
            raise HostError(f"the coverage cannot be written to {target}", details=(str(error),)) from error

    def told(self, target: Path) -> Iterator[str]:
        """What a terminal says of it."""
        for name, files in self.drivers.items():
            yield f"{name}: {in_words(files)}"
        yield from (f"{name}: no coverage, {reason}" for name, reason in self.without.items())
        yield f"coverage: {target} ({KINDS[target.suffix]})"


def in_words(files: Iterable[SourceFile]) -> str:
    """`81 % of 120 lines, 63 % of 40 branches`."""
    every = list(files)
    lines, ways = sum(len(file.lines) for file in every), sum(len(file.ways) for file in every)
    hit, gone = sum(file.lines_hit for file in every), sum(file.ways_gone for file in every)
    return f"{_percent(hit, lines)} of {lines} lines, {_percent(gone, ways)} of {ways} branches"


def parse_target(given: str, base: Path) -> Path:
    """The file that coverage goes to; ConfigurationError if its name asks for no format, or it cannot be there."""
    target = (base / given).resolve()
    if target.suffix not in KINDS:
        raise ConfigurationError(
            f"--coverage {given}: its name says no format",
            hint="FILE.info or FILE.lcov for lcov, FILE.xml for Cobertura",
        )
    if not target.parent.is_dir() or target.is_dir():
        what = "is a directory" if target.is_dir() else f"there is no directory {target.parent}"
        raise ConfigurationError(f"--coverage {given}: {what}")
    return target


def keep(folder: Path, taken: Coverage, subjects: Mapping[str, Subject]) -> bool:
    """Write down what ran under one test; `subjects` by service. Whether there was anything to write."""
    found = [
        {"driver": subject.name, "image": str(subject.image), "sha256": subject.sha256, "root": str(subject.root)}
        | {"symbols": subject.has_symbols, "spans": one.spans, "ends": one.ends}
        for one in taken.images
        if (subject := subjects.get(one.service)) is not None and (one.spans or one.ends)
    ]
    if found:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE_NAME).write_text(json.dumps(found), encoding="utf-8")
    return bool(found)


def measure(directory: Path, records: Iterable[TestRecord]) -> Measured:
    """What the tests of a run ran together, and each of its suites. HostError without an llvm-symbolizer."""
    whole: dict[Subject, Ran] = {}
    suites: dict[str, dict[Subject, Ran]] = {}
    for record in records:
        path = directory / (record.folder or "") / FILE_NAME
        if record.folder is None or not path.is_file():
            continue
        of_suite = suites.setdefault(record.suite, {})
        for item in read_json(path.read_bytes()):
            for ran in (whole, of_suite):
                ran.setdefault(_subject(item), Ran()).add(item["spans"], item["ends"])
    measured = lines_of_drivers(_measurable(whole))
    for suite, ran in suites.items():
        files = lines_of_drivers(_measurable(ran)).files
        measured.suites[suite] = _percent(sum(file.lines_hit for file in files), sum(len(file.lines) for file in files))
    return measured


def _measurable(ran: Mapping[Subject, Ran]) -> Mapping[Subject, Ran]:
    """Without the driver that only watches, where there is another."""
    others = {subject: one for subject, one in ran.items() if subject.name != EYES}
    return others or ran


def lines_of_drivers(ran: Mapping[Subject, Ran]) -> Measured:
    """The lines that the code of some drivers comes from."""
    measured = Measured()
    of: dict[str, list[dict[str, SourceFile]]] = {}
    for subject, one in sorted(ran.items(), key=lambda item: item[0].name):
        files = _lines(subject, one) if subject.has_symbols else {}
        if files:
            of.setdefault(subject.name, []).append(files)
        else:
            what = "its PDB names no lines of it" if subject.has_symbols else "it has no PDB"
            measured.without[subject.name] = f"{what} (docs/coverage.md)"
    measured.drivers = {name: merged(every) for name, every in of.items()}
    return measured


def _lines(subject: Subject, ran: Ran) -> dict[str, SourceFile]:
    files = lines_of(_code_of(subject.image), ran, subject.root)
    # The words of the kernel that fltlab compiles drivers with are nobody's source.
    kit = DRIVERS / "include"
    return {name: file for name, file in files.items() if file.path is None or not file.path.is_relative_to(kit)}


@cache
def _code_of(image: Path) -> list[Instruction]:
    return CodeMap(image).instructions


def _subject(item: Mapping[str, Any]) -> Subject:
    image, root = Path(item["image"]), Path(item["root"])
    return Subject(str(item["driver"]), image, str(item["sha256"]), root, bool(item["symbols"]))


def _percent(part: int, whole: int) -> str:
    return f"{100 * part // whole} %" if whole else "none"
