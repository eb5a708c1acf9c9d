"""The script `./fltlab` before Python takes over: what it says when it cannot go on, and with which exit code."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.limits import HANG

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that was never set up."""
    for name in ("fltlab", "requirements.lock", "requirements-test.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def start(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "fltlab", "version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG,
        env={**os.environ, "FLTLAB_NO_INSTALL": "1", **environment},
    )


def test_a_checkout_that_cannot_be_written_is_a_fault_of_the_machine(checkout: Path):
    (checkout / ".fltlab").touch()  # where a directory must be made

    ended = start(checkout)

    assert ended.returncode == 3
    assert f"nothing can be written to {checkout}, where the first start sets itself up" in ended.stderr


def test_an_environment_that_cannot_be_made_is_a_fault_of_the_machine(checkout: Path):
    (checkout / ".venv").touch()

    ended = start(checkout)

    assert ended.returncode == 3
    assert f"{checkout}/.venv could not be made" in ended.stderr


def test_without_leave_to_install_all_that_is_missing_is_listed(checkout: Path):
    programs = checkout / "programs"  # of a machine with next to nothing
    programs.mkdir()
    for name in ("bash", "env", "readlink"):
        (programs / name).symlink_to(str(shutil.which(name)))

    ended = start(checkout, PATH=str(programs))

    assert ended.returncode == 2
    for package in ("clang-19", "qemu-system-x86", "mmdebstrap"):
        assert f"\n  {package} " in ended.stderr
    assert "apt-get install clang-19" in ended.stderr
    assert not (checkout / ".venv").exists()


def test_the_libraries_of_the_tests_have_those_that_users_get():
    def pinned(name: str) -> set[str]:
        return {line.split()[0] for line in (ROOT / name).read_text().splitlines() if "==" in line and line[0] != "#"}

    assert pinned("requirements.lock") < pinned("requirements-test.lock")
    assert not any("playwright" in one for one in pinned("requirements.lock"))
