"""Whatever process of a run is killed, whenever: no result is lost, none comes twice, nothing is left, and it can be
finished."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

from harness.errors import ExitCode
from harness.report.records import Outcome
from tests.fuzz.conftest import tell, times  # noqa: F401 - fixtures of the long mode
from tests.reliability.conftest import Project, running

LOCAL = "--guest=reference-local"
TESTS = """
    @pytest.mark.parametrize("number", range(3))
    @pytest.mark.stack("passthrough")
    def test_with_a_stack(lab, number):
        lab.io(READ)

    def test_without(guest):
        assert guest.run("ver").ok
"""
NAMES = {*(f"test_with_a_stack[{number}]" for number in range(3)), "test_without"}
FILES = ("test_broken.py", "test_too.py")
ALL = Counter({name: len(FILES) for name in NAMES})
WORKERS = 2
LONGEST = 6.0
"""Seconds after its start within which a process of the run is killed."""


def roles(mark: str) -> dict[str, list[int]]:
    """The processes of a run by what they are: their programs and first words."""
    found: dict[str, list[int]] = {}
    for pid in running(mark):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            role = " ".join(Path(word).name for word in words if word and not word.startswith("-"))[:40]
            found.setdefault(role, []).append(pid)
    return found


def kill_one(project: Project, process: subprocess.Popen[str], chosen: random.Random) -> str:
    """Kill a process of the run at some time, each role as likely as the others; which it was."""
    time.sleep(chosen.uniform(0.2, LONGEST))
    found = roles(project.mark)
    if process.poll() is not None or not found:
        return "nothing: it had ended"
    role = chosen.choice(sorted(found))
    with contextlib.suppress(ProcessLookupError):
        os.kill(chosen.choice(found[role]), signal.SIGKILL)
    return role


def has_ended(project: Project) -> bool:
    """Whether the run has come to its own end: the last thing that it writes is there."""
    return (project.run / "junit.xml").exists()


def finish(project: Project) -> int:
    """Resume the run as often as it takes; how often that was. One that has no result yet is begun again."""
    for times_resumed in range(4):
        if has_ended(project):
            return times_resumed
        code, output = project.end(*([] if project.journal else [LOCAL]), resumes=bool(project.journal))
        assert code in {ExitCode.PASSED, ExitCode.HOST}, output
    raise AssertionError("the run does not come to its end")


def test_a_run_of_which_any_process_is_killed_is_finished_and_nothing_is_lost(
    project: Project,
    times: Callable[[int], range],  # noqa: F811 - a fixture
    tell: dict[str, object],  # noqa: F811 - a fixture
):
    for name in FILES:
        project.test(TESTS, name)
    killed: Counter[str] = Counter()
    resumed = errors = 0
    for seed in times(1):
        chosen = random.Random(seed)
        workers = ["-n", str(WORKERS)] if chosen.random() < 0.5 else []
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(project.run)
        passed: set[str] = set()
        roles_killed: list[str] = []
        # What goes on with a run is killed as well, until this is done with it.
        while not roles_killed or (not has_ended(project) and chosen.random() < 0.6):
            begun = bool(project.journal)
            process = project.start(*([] if begun else [LOCAL]), *workers, resumes=begun)
            roles_killed.append(kill_one(project, process, chosen))
            _, output = project.result(process)
            passed |= {record.nodeid for record in project.journal if record.outcome is Outcome.PASSED}
        killed.update(roles_killed)
        resumed += len(roles_killed) - 1 + finish(project)

        records = project.journal
        assert Counter(record.name for record in records) == ALL, (seed, roles_killed, output)
        assert passed <= {record.nodeid for record in records}, (seed, roles_killed)
        wrong = [record for record in records if record.outcome is not Outcome.PASSED]
        assert len(wrong) <= WORKERS * len(roles_killed), (seed, roles_killed, output)
        assert {record.outcome for record in wrong} <= {Outcome.ERROR}, (seed, roles_killed, output)
        cases = Counter(str(case.get("name")) for case in ET.parse(project.run / "junit.xml").iter("testcase"))
        assert cases == ALL, (seed, roles_killed)
        project.assert_nothing_is_left()
        errors += len(wrong)
        tell |= {
            "kills": killed.total(),
            "of": dict(killed.most_common()),
            "runs": seed + 1,
            "resumes": resumed,
            "tests that it cost": errors,
        }
