"""The C sources keep the pinned format, and open with what they are; docs/examples is in the styles of its authors."""

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.minifilter.imports import SUPPORT

LONGEST = 400


def tracked() -> list[Path]:
    """The C files under version control: what somebody is just writing is nobody else's failure."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", "drivers/*.[ch]", "docs/*.[ch]"],
        cwd=SUPPORT.parent,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(SUPPORT.parent / name for name in listed.split("\0") if name and (SUPPORT.parent / name).is_file())


SOURCES = tracked()
OURS = [path for path in SOURCES if "examples" not in path.parts]


def clang_format() -> str:
    for name in ("clang-format-19", "clang-format-20", "clang-format-21", "clang-format-22", "clang-format"):
        if shutil.which(name):
            return name
    pytest.fail("clang-format is not installed: apt install clang-format-19")


def test_every_c_file_has_the_pinned_format():
    assert OURS
    done = subprocess.run(
        [clang_format(), "--dry-run", "--Werror", *map(str, OURS)],
        capture_output=True,
        text=True,
        cwd=SUPPORT.parent,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_every_c_file_opens_with_what_it_is():
    assert [path.name for path in OURS if not path.read_text().startswith("/*")] == []


def test_no_c_file_does_too_many_things():
    lengths = {path.name: len(path.read_text().splitlines()) for path in SOURCES if "include" not in path.parts}

    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_c_files_are_plain_ascii_with_unix_line_ends():
    def odd(path: Path) -> bool:
        content = path.read_bytes()
        return b"\r" in content or b"\t" in content or not content.isascii() or not content.endswith(b"\n")

    assert [path.name for path in SOURCES if odd(path)] == []
