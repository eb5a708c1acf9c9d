"""`fltlab run` shares a whole tree of suites out among processes by itself, and nothing that is meant for one."""

from pathlib import Path

import pytest

from harness.cli import sharing
from harness.cli.sharing import default_workers


@pytest.fixture
def suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Suites with sixteen files of tests, on a machine of three processors."""
    monkeypatch.setattr(sharing, "processors", lambda: 3)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    for number in range(16):
        file = tmp_path / "suites" / f"area{number % 4}" / f"test_{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path / "suites"


def test_a_tree_of_suites_is_shared_out_among_the_processors(suites: Path, monkeypatch: pytest.MonkeyPatch):
    assert default_workers(["reference-local"], [str(suites)], []) == 3
    assert default_workers(["reference-local+fat32"], [str(suites)], ["-q", "--tb=short", "-rA"]) == 3
    monkeypatch.setattr(sharing, "processors", lambda: 64)
    assert default_workers(["reference-local"], [str(suites), str(suites / "area1")], []) == 4


def test_a_few_files_are_not(suites: Path):
    assert default_workers(["reference-local"], [str(suites / "area1")], []) == 0
    assert default_workers(["reference-local"], [f"{suites}/area1/test_1.py::test"], []) == 0


@pytest.mark.parametrize(
    "words", [["-x"], ["-s"], ["-v"], ["--pdb"], ["--maxfail=2"], ["--stepwise"], ["-p", "no:xdist"]]
)
def test_what_somebody_watches_stays_in_one_process(suites: Path, words: list[str]):
    assert default_workers(["reference-local"], [str(suites)], words) == 0


@pytest.mark.parametrize(
    ("guests", "workers"), [([], 3), (["reference"], 3), (["reference-local", "windows-11-24h2"], 0)]
)
def test_machines_are_if_they_are_small(suites: Path, guests: list[str], workers: int):
    assert default_workers(guests, [str(suites)], []) == workers


def test_options_of_the_surroundings_have_the_last_word(suites: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "-x")

    assert default_workers(["reference-local"], [str(suites)], []) == 0
