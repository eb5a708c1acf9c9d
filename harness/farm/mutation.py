"""Each deliberate break of the contract against the tests that are to go red under it: `fltlab mutants run`.

A break is a mutant of the reference kernel or a wrong driver (harness/contract/proven.yaml). It is *killed* if every
test that its guards name goes red by it, and *survives* otherwise; a wrong driver must be reported with its rule and
its name. Each has a pytest of its own, forked from a process that has imported what all of them need.
"""

import multiprocessing
import os
import runpy
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from multiprocessing.context import ForkServerContext
from pathlib import Path

from harness.contract import Guard, load_guards
from harness.errors import ConfigurationError, HostError, did_you_mean
from harness.report.journal import read_journal
from harness.report.records import Outcome, TestRecord
from harness.shipped import SUITES

PRELOADED = (
    "pytest", "harness.plugin.run", "harness.plugin.fixtures", "harness.fleet.local_guest", "harness.fleet.drivers",
    "harness.fleet.providers", "harness.fleet.scene", "harness.report.html", "harness.report.junit",
    "harness.report.table", "rich.console",
)  # fmt: skip
SAID_BY_THE_CATALOGUE = "--- what the documentation says"
LONGEST = 300.0
"""Seconds for the tests of one break. The kernel ends an endless one by itself, long before."""
KEPT_OUTPUT = 4000
"""Characters."""


@dataclass(frozen=True)
class Break:
    """One deliberate break, and the guards that name it."""

    name: str
    guards: tuple[Guard, ...]

    @property
    def wrong_driver(self) -> str | None:
        return self.guards[0].wrong_driver

    @property
    def options(self) -> tuple[str, ...]:
        """What has pytest run under it."""
        first = self.guards[0]
        if first.mutant:
            return ("--mutant", first.mutant)
        return ("--replace", f"{first.instead_of}={first.wrong_driver}")

    @property
    def tests(self) -> tuple[str, ...]:
        """Node ids below suites/."""
        return tuple(dict.fromkeys(test for guard in self.guards for test in guard.tests))


@dataclass(frozen=True)
class Verdict:
    """What became of a break: `survived` has why for each test that did not go red by it, as it must."""

    of: Break
    killed_by: tuple[str, ...]
    survived: tuple[tuple[str, str], ...]
    seconds: float

    @property
    def killed(self) -> bool:
        return bool(self.killed_by) and not self.survived


def name_of(guard: Guard) -> str:
    """The break of a guard, as it is called."""
    return guard.mutant or f"{guard.wrong_driver}-for-{guard.instead_of}"


@cache
def all_breaks() -> tuple[Break, ...]:
    """Every break that a guard names."""
    return tuple(
        Break(name, tuple(guards)) for name, guards in groupby(sorted(load_guards(), key=name_of), key=name_of)
    )


def breaks_named(names: Sequence[str]) -> tuple[Break, ...]:
    """The breaks of these names, a wrong driver's by its own too; all without a name. ConfigurationError for others."""
    known = {name: found for found in all_breaks() for name in (found.name, found.wrong_driver) if name}
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"no break is called {name!r}{did_you_mean(name, known)}",
                hint="fltlab mutants lists the mutants, docs/drivers.md the wrong drivers",
            )
    return tuple(dict.fromkeys(known[name] for name in names)) or all_breaks()


# -- running


@cache
def _fork_server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *PRELOADED])
    return context


def _pytest(arguments: Sequence[str], output: str, folder: str) -> None:
    """In the forked process: `python -m pytest`, with what it prints in a file."""
    log = os.open(output, os.O_WRONLY | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.chdir(folder)
    sys.argv = ["pytest", *arguments]
    runpy.run_module("pytest", run_name="__main__", alter_sys=True)


def run_tests(tests: Iterable[str], folder: Path, *options: str) -> list[TestRecord]:
    """Run tests of the suites on a guest of their own; what the journal has of them. HostError if it has nothing."""
    output = folder.with_suffix(".txt")
    paths = [str(SUITES / test) for test in dict.fromkeys(tests)]
    arguments = [*paths, "--guest=reference-local", f"--out={folder}", *options]
    arguments += ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]  # harness/cli/run.py says why
    process = _fork_server().Process(target=_pytest, args=(arguments, str(output), str(SUITES.parent)))
    process.start()
    process.join(LONGEST)
    if process.is_alive():
        process.terminate()
        process.join()
    if not (folder / "results.jsonl").exists():
        said = output.read_text(encoding="utf-8", errors="replace")[-KEPT_OUTPUT:] if output.exists() else ""
        raise HostError(f"pytest {' '.join(arguments)} ran no test", details=tuple(said.splitlines()))
    return read_journal(folder)


def try_break(found: Break, folder: Path) -> Verdict:
    """Run the tests of a break under it."""
    begin = time.monotonic()
    records = run_tests(found.tests, folder, *found.options)
    return judge(found, records, time.monotonic() - begin)


def try_breaks(found: Sequence[Break], jobs: int) -> Iterator[Verdict]:
    """Try breaks, `jobs` at a time, in their order. HostError if their tests are not green without any."""
    folder = Path(tempfile.mkdtemp(prefix="fltlab-mutants-"))
    try:
        with ThreadPoolExecutor(jobs) as pool:
            sound = pool.submit(run_tests, [test for item in found for test in item.tests], folder / "sound")
            verdicts = [pool.submit(try_break, item, folder / str(number)) for number, item in enumerate(found)]
            red = [record.nodeid for record in sound.result() if record.outcome is not Outcome.PASSED]
            if red:
                pool.shutdown(cancel_futures=True)
                raise HostError("tests are red without any break, and would kill every one", details=tuple(red))
            for verdict in verdicts:
                yield verdict.result()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- judging


def judge(found: Break, records: Sequence[TestRecord], seconds: float = 0.0) -> Verdict:
    """Hold what came of the tests against what the guards claim."""
    killed: list[str] = []
    survived: list[tuple[str, str]] = []
    for guard in found.guards:
        for test in guard.tests:
            about = [record for record in records if _is(record, test)]
            if not about:
                survived.append((test, "was not run"))
            for record in about:
                why = _why_green(guard, record)
                if why:
                    survived.append((record.nodeid, why))
                else:
                    killed.append(record.nodeid)
    return Verdict(found, tuple(dict.fromkeys(killed)), tuple(survived), round(seconds, 2))


def _is(record: TestRecord, test: str) -> bool:
    nodeid = record.nodeid.removeprefix(f"{SUITES.name}/")
    return nodeid == test or nodeid.startswith(f"{test}[")


def _why_green(guard: Guard, record: TestRecord) -> str:
    """Why a test does not prove its guard, or ""."""
    if guard.rule not in record.rules:
        return f"is not marked with {guard.rule}"
    if record.outcome is not Outcome.FAILED:
        return str(record.outcome)
    if guard.wrong_driver:
        reported = record.message + record.details.partition(SAID_BY_THE_CATALOGUE)[0]
        names = (f"fltlab-{guard.instead_of}", f"fltlab-{guard.wrong_driver}")  # a black box keeps its own
        if guard.rule not in reported:
            return f"failed without a report of {guard.rule}"
        if not any(name in reported for name in names):
            return f"the report of {guard.rule} does not name {guard.wrong_driver}"
    return ""
