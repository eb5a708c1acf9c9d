"""`--coverage FILE`: what the tests of a run, in however many workers, ran of their drivers' sources."""

import subprocess
import sys
from pathlib import Path

import pytest

RUN = [sys.executable, "-P", "-m", "harness.cli", "run", "-p", "no:cacheprovider"]
SUITE = """
import pytest

pytestmark = pytest.mark.stack("observer@above", "passthrough")


def test_{name}(lab):
    lab.io(r"open f V:\\a.txt access=rw disposition=create")
"""


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUN, *words], cwd=directory, capture_output=True, text=True, check=False)


def test_the_hits_of_all_workers_are_added_up(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / f"test_{name}.py").write_text(SUITE.format(name=name))

    done = run(tmp_path, "test_one.py", "test_two.py", "--guest=reference-local", "--coverage", "c.info", "-n", "2")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "passthrough: " in done.stdout
    assert "observer: " not in done.stdout
    assert "seconds lines" in done.stdout
    records = (tmp_path / "c.info").read_text().split("end_of_record\n")
    (own,) = (record for record in records if "/passthrough/passthrough.c\n" in record)
    (calls,) = (line for line in own.splitlines() if line.startswith("FNDA:"))
    lines = [line for line in own.splitlines() if line.startswith("DA:")]
    hits = {int(line.split(",")[1]) for line in lines}
    assert hits == {int(calls[5:].split(",")[0])}
    assert min(hits) >= 2 * 3  # a create, a cleanup and a close in each of two workers


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--coverage", "c.txt"], "its name says no format"),
        (["--coverage", "nowhere/c.xml"], "there is no directory"),
        (["--coverage", "c.xml", "--guest", "windows-11"], "does not say which code of a driver runs"),
    ],
)
def test_what_cannot_be_measured_is_wrong_use(tmp_path: Path, words: list[str], said: str):
    (tmp_path / "test_one.py").write_text(SUITE.format(name="one"))

    done = run(tmp_path, "test_one.py", *words)

    assert done.returncode == 2
    assert said in done.stdout + done.stderr
