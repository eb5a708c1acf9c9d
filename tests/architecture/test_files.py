"""What must not be in any file of the project, and how large a module may grow."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_MODULE = 450
REGISTRY_HOST = re.compile(
    r"(pypi[.](org|python)|python[h]osted|deb[.]debian|registry[.]npm|archive[.]ubuntu|crates[.]io|docker[.]io)",
    re.IGNORECASE,
)
HOME_OF_SOMEONE = re.compile(r"(?<![\w.])/(work|home|Users)/[\w.]")
THIS_FILE = Path(__file__).resolve()


def project_files() -> list[Path]:
    """Every file under version control, and every new one that git would take."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def texts() -> list[tuple[Path, str]]:
    found = []
    for path in project_files():
        if path.resolve() == THIS_FILE:
            continue
        try:
            found.append((path.relative_to(ROOT), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


@pytest.mark.parametrize("pattern", [REGISTRY_HOST, HOME_OF_SOMEONE], ids=["registry host", "path of one machine"])
def test_no_file_names_a_registry_or_a_place_on_somebodys_machine(pattern: re.Pattern[str]) -> None:
    found = [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1} {match.group()}"
        for path, text in texts()
        for match in pattern.finditer(text)
    ]

    assert found == []


def test_no_module_has_grown_past_what_one_thing_needs() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in (ROOT / "harness").rglob("*.py")}

    assert {str(path): length for path, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "harness").rglob("*.py")
        if path.read_text().strip() and not path.read_text().lstrip().startswith(('"""', 'r"""'))
    ]

    assert silent == []
