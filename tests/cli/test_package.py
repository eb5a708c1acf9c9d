"""The package that pip makes of the checkout works by itself: in an empty directory, without the checkout."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
USER = """
from fltlab import IrpMajor, Lab, NtStatus, Volume

def test_of_a_user(lab: Lab, volume: Volume) -> None:
    lab.completion.when(IrpMajor.CREATE, name=3)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what pip installs, and nothing of the checkout near it."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in map(os.fsdecode, filter(None, listed.stdout.split(b"\0"))):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    made = subprocess.run(
        [*pip, "--no-build-isolation", "--target", str(target), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return target


def run(installed: Path, directory: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(installed), "FLTLAB_HOME": str(directory / "home")}
    command = [sys.executable, "-P", "-m", *words]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def test_a_suite_runs_in_an_empty_directory(installed: Path, tmp_path: Path):
    ran = run(installed, tmp_path, "harness.cli", "run", "io", "--guest", "reference-local", "--out", "run")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    results = [json.loads(line) for line in (tmp_path / "run" / "results.jsonl").read_text().splitlines()]
    assert [result["outcome"] for result in results] == ["passed", "passed"]
    assert f"rootdir: {installed}" in ran.stdout
    assert {path.name for path in tmp_path.iterdir()} <= {"run", "home", ".pytest_cache"}


def test_the_contract_knows_the_tests_that_came_with_it(installed: Path, tmp_path: Path):
    ran = run(installed, tmp_path, "harness.cli", "contract", "PRE-COMP-01", "--json")

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["rules"][0]["tests"]


def test_images_have_their_recipes(installed: Path, tmp_path: Path):
    ran = run(installed, tmp_path, "harness.cli", "image", "list")

    assert "windows-11-24h2" in ran.stdout, ran.stderr


def test_a_users_test_is_checked_against_the_types_of_the_fixtures(installed: Path, tmp_path: Path):
    (tmp_path / "test_user.py").write_text(USER)
    ran = run(installed, tmp_path, "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "test_user.py")

    assert "test_user.py:5" in ran.stdout, ran.stdout + ran.stderr
    assert 'incompatible type "int"' in ran.stdout
    assert "Found 1 error in 1 file" in ran.stdout


def test_it_has_its_licence_and_the_version_of_the_newest_tag(installed: Path, tmp_path: Path):
    (facts,) = installed.glob("fltlab-*.dist-info")
    assert "MIT License" in (facts / "licenses" / "LICENSE").read_text()
    assert "License-Expression: MIT" in (facts / "METADATA").read_text()

    shutil.copy(ROOT / "setup.py", tmp_path)
    assert version_of(tmp_path) == "0.1.0.dev0"  # no repository of its own
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for command in (["init", "-q"], ["add", "setup.py"], ["commit", "-qm", "one"], ["tag", "v1.2.3"]):
        subprocess.run([*git, *command], check=True)
    assert version_of(tmp_path) == "1.2.3"
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "two"], check=True)
    assert version_of(tmp_path).startswith("1.2.3.post1+g")


def version_of(directory: Path) -> str:
    """What setup.py of a directory says."""
    asked = subprocess.run(
        [sys.executable, "setup.py", "--version"], cwd=directory, capture_output=True, text=True, check=True
    )
    return asked.stdout.splitlines()[-1]
