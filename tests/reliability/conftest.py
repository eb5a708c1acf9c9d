"""Runs of `fltlab run` as processes of their own, and a look at everything that they might leave behind."""

import contextlib
import getpass
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness.report.journal import FILE_NAME, read_journal
from harness.report.records import TestRecord
from tests.limits import HANG, until
from tests.processes import running_with

ROOT = Path(__file__).resolve().parents[2]
DRIVERS = Path(__file__).with_name("drivers")
MARK = "FLTLAB_TEST_MARK"
SHARED = {"fltlab-leases", f"pytest-of-{getpass.getuser()}"}
"""What stays in the directory for temporary files: the ledger of leases, for all processes; and pytest's own."""

PREAMBLE = """
    import os, signal, time
    from pathlib import Path
    import pytest
    from tests.processes import kill, stop

    pytestmark = pytest.mark.rule("REG-01")
    HERE = Path(__file__).parent
    READ = chr(10).join([
        r"open f V:\\a.txt access=rw disposition=open-if", "write f offset=0 length=16", "read f offset=0 length=16"
    ])

    def reach():
        (HERE / "reached").touch()
        time.sleep(600)

"""


def running(mark: str) -> list[int]:
    """The processes of a run: they carry its mark."""
    return running_with(MARK, mark)


class Project:
    """A user's tree of one test file, and runs of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.suite = root / "suites" / "broken"
        self.run = root / "run"
        self.temporary = root / "tmp"
        self.mark = uuid.uuid4().hex
        self.suite.mkdir(parents=True)
        self.temporary.mkdir()
        (root / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider -W ignore\n")

    def test(self, text: str, name: str = "test_broken.py") -> None:
        """Write the test file."""
        (self.suite / name).write_text(textwrap.dedent(PREAMBLE) + textwrap.dedent(text))

    def conftest(self, text: str) -> None:
        """Write the conftest.py beside the test file."""
        (self.suite / "conftest.py").write_text(textwrap.dedent(text))

    def start(
        self, *words: str, wrapper: Sequence[str] = (), resumes: bool = False, **environment: str
    ) -> subprocess.Popen[str]:
        """Start a run, or go on with the one there is."""
        what = ["--resume=run"] if resumes else ["--out=run", f"--drivers={DRIVERS}"]
        return subprocess.Popen(
            [*wrapper, sys.executable, "-m", "harness.cli", "run", *what, *words],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(ROOT), MARK: self.mark, "TMPDIR": str(self.temporary), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def end(
        self,
        *words: str,
        wrapper: Sequence[str] = (),
        resumes: bool = False,
        **environment: str,
    ) -> tuple[int, str]:
        """Run to the end: the exit code, and all that was printed."""
        return self.result(self.start(*words, wrapper=wrapper, resumes=resumes, **environment))

    def interrupt(self, how: signal.Signals, *words: str, **environment: str) -> tuple[int, str]:
        """Run until the test has called `reach`, and send the signal."""
        process = self.start(*words, **environment)
        try:
            self.wait_for("reached", process)
        finally:
            if process.poll() is None:
                os.kill(process.pid, how)
        return self.result(process)

    def wait_for(self, name: str, process: subprocess.Popen[str]) -> None:
        """Wait until a test of the run has made a file beside its own."""
        made = self.suite / name

        def look() -> bool:
            if process.poll() is not None and not made.exists():
                raise AssertionError(f"the run has ended with {process.returncode}: {process.communicate()[0]}")
            return made.exists()

        until(look, f"the test to make {name}", 0.05)

    def result(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """The exit code of a run that comes to its end, and all that it printed."""
        try:
            output, _ = process.communicate(timeout=HANG)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"the run does not end; it printed:\n{process.communicate()[0]}")
        return process.returncode, output

    # -- what is left

    @property
    def journal(self) -> list[TestRecord]:
        return read_journal(self.run) if (self.run / FILE_NAME).exists() else []

    def case(self, name: str) -> tuple[str, str]:
        """How a test is in junit.xml: failure, error, skipped or passed, and its message."""
        for case in ET.parse(self.run / "junit.xml").iter("testcase"):
            if case.get("name") == name:
                child = next((child for child in case if child.tag in {"failure", "error", "skipped"}), None)
                return (child.tag, str(child.get("message"))) if child is not None else ("passed", "")
        raise AssertionError(f"junit.xml has no test {name}")

    def evidence(self, name: str) -> dict[str, str]:
        """The files that were kept of the guest of a test."""
        record = next(record for record in self.journal if record.name == name)
        assert record.folder is not None
        folder = self.run / record.folder / "guest"
        return {path.name: path.read_text(errors="replace") for path in folder.iterdir()}

    def kernel(self, name: str) -> dict[str, object]:
        loaded: dict[str, object] = json.loads(self.evidence(name)["kernel.json"])
        return loaded

    def assert_nothing_is_left(self) -> None:
        """No process (so no socket or port), no temporary file, no machine's disk, memory or secret."""
        until(lambda: not running(self.mark), "every process of the run to end")
        assert {path.name for path in self.temporary.iterdir()} <= SHARED
        guests = {path.name for path in (self.run / "guests").glob("*/*")}
        assert guests <= {"serial.log", "qemu.log", "daemon.log"}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    yield project
    for pid in running(project.mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(project.temporary)
