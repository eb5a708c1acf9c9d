"""`fltlab watch` runs again what a change touches, and nothing else."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import ExitCode
from harness.fleet.touched import is_source, touched
from tests.limits import HANG


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in {
        "suites/one/test_mine.py": '@pytest.mark.stack("mine")',
        "suites/one/test_other.py": '@pytest.mark.stack("observer@above", "mine-too")',
        "suites/two/conftest.py": "",
        "suites/two/test_two.py": '@pytest.mark.stack("mine@low")',
        "drivers/mine/mine.c": "",
        "drivers/mine-too/mine.c": "",
        "drivers/shared.h": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ("suites/one/test_mine.py", ["test_mine.py"]),
        ("suites/two/conftest.py", ["test_two.py"]),
        ("drivers/mine/mine.c", ["test_mine.py", "test_two.py"]),
        ("drivers/mine-too/mine.c", ["test_other.py"]),
        ("drivers/shared.h", ["test_mine.py", "test_other.py", "test_two.py"]),
        ("suites/one/test_gone.py", ["test_mine.py", "test_other.py"]),
    ],
)
def test_a_change_touches_the_tests_that_are_made_of_it(tree: Path, changed: str, names: list[str]):
    drivers = {name: tree / "drivers" / name for name in ("mine", "mine-too")}

    found = touched([tree / changed], [tree / "suites"], drivers)

    assert [path.name for path in found] == names


def test_a_driver_that_no_test_names_may_be_in_anothers_place(tree: Path):
    found = touched([tree / "drivers/x/x.c"], [tree / "suites"], {"x": tree / "drivers/x"})

    assert len(found) == 3


def test_of_one_chosen_file_only_that_one_is_touched(tree: Path):
    chosen = tree / "suites/one/test_mine.py"

    assert touched([tree / "drivers/shared.h"], [chosen], {}) == [chosen]


def test_what_is_built_or_hidden_is_no_source():
    assert is_source(Path("a/mine.C"))
    assert not is_source(Path("a/.mine.c"))
    assert not is_source(Path("a/mine.obj"))
    assert not is_source(Path("runs/watch/results.jsonl"))


@pytest.fixture
def users_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert main(["new-driver", "mine"]) == main(["new-suite", "first", "--driver", "mine"]) == ExitCode.PASSED
    (tmp_path / "suites" / "first" / "test_plain.py").write_text("def test_plain(): pass\n")
    return tmp_path


def test_a_driver_that_is_changed_is_built_and_its_suite_run_again(users_tree: Path):
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "harness.cli", "watch", "--once", "-p", "no:cacheprovider"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as watching:
        killer = threading.Timer(HANG, watching.kill)
        killer.start()
        assert watching.stdout is not None
        said = []
        for line in watching.stdout:
            said.append(line)
            if line.startswith("waiting"):
                # At once, as editors do: half a change is one too.
                (users_tree / "new").write_text("#error not any more\n")
                (users_tree / "new").replace(users_tree / "drivers" / "mine" / "mine.c")
        killer.cancel()

    text = "".join(said)
    first, again = text.split("changed: drivers/mine/mine.c\n")
    assert "2 passed" in first
    assert again.startswith("→ suites/first/test_first.py\n")
    assert "not any more" in again
    assert watching.returncode == ExitCode.USAGE
