"""The floors of docs/architecture.md hold: a module imports only from its own folder and from floors below."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOW = ("nt", "wire", "contract", "minifilter", "host", "machine", "guest", "image")
LOWER = (*LOW, "report", "fleet", "farm", "cluster")
FLOORS = (*LOWER, "plugin", "cli")
PYTEST = ("pytest", "_pytest", "pluggy")
OWN_NT_ONLY = "reference"
FOR_REFERENCE = ("nt", "wire")
FOR_EVERYBODY = ("errors", "text", "shipped", "attempt")


def modules() -> list[Path]:
    return sorted((ROOT / "harness").rglob("*.py"))


def imported_names(source: str, path: Path) -> Iterator[tuple[int, str]]:
    """Every `harness.…` name that a module imports, with the line it stands on."""
    yield from ((line, name) for line, name in all_imports(source, path) if name.split(".")[0] == "harness")


def all_imports(source: str, path: Path) -> Iterator[tuple[int, str]]:
    """Every name that a module imports, with the line it stands on."""
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            names = [f"{base}.{alias.name}" if _is_module(base, alias.name) else base for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names)


def _is_module(package: str, name: str) -> bool:
    """Whether `from package import name` imports a module of ours."""
    return any((ROOT / Path(*package.split("."), name)).with_suffix(suffix).exists() for suffix in (".py", ""))


def forbidden_imports(source: str, path: Path) -> list[str]:
    """What a module imports and must not, as `file:line imports name`."""
    parts = path.relative_to(ROOT / "harness").parts
    room = parts[0] if len(parts) > 1 else None
    if room is None:
        return []
    allowed = (
        {OWN_NT_ONLY, *FOR_REFERENCE} if room == OWN_NT_ONLY else {*FLOORS[: FLOORS.index(room) + 1], *FOR_EVERYBODY}
    )
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for line, name in imported_names(source, path)
        if len(name.split(".")) > 1 and name.split(".")[1] not in allowed
    ]


def test_every_room_is_a_floor_or_the_reference_kernel() -> None:
    rooms = {path.name for path in (ROOT / "harness").iterdir() if path.is_dir() and (path / "__init__.py").exists()}

    assert rooms <= {*FLOORS, OWN_NT_ONLY}


def test_no_module_imports_from_a_floor_above() -> None:
    wrong = [line for path in modules() for line in forbidden_imports(path.read_text(), path)]

    assert wrong == []


def test_nothing_below_the_plugin_knows_pytest() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules()
        if path.relative_to(ROOT / "harness").parts[0] in {*LOWER, OWN_NT_ONLY}
        for line, name in all_imports(path.read_text(), path)
        if name.split(".")[0] in PYTEST
    ]

    assert found == []


def test_a_guest_can_be_had_without_pytest() -> None:
    """Also what others import on the way to one: a guest of the fleet costs no pytest."""
    fleet = [f"harness.fleet.{path.stem}" for path in (ROOT / "harness" / "fleet").glob("*.py")]
    script = f"import importlib, sys\nfor name in {fleet!r}: importlib.import_module(name)\n"
    script += f"print([name for name in {PYTEST!r} if name in sys.modules])"

    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize("module", sorted((ROOT / "harness" / "cli").glob("*.py")), ids=lambda path: path.stem)
def test_only_a_command_that_runs_suites_knows_pytest(module: Path) -> None:
    above = ("harness.plugin", *PYTEST)
    found = [name for _, name in all_imports(module.read_text(), module) if name.startswith(above)]

    assert not found or module.stem in {"run", "replay"}, found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("machine/qemu.py", "from harness.guest import session"),
        ("machine/qemu.py", "import harness.plugin"),
        ("machine/qemu.py", "from harness import cli"),
        ("machine/qemu.py", "def late():\n    from harness.image.store import ImageStore"),
        ("machine/qemu.py", "from ..image.store import ImageStore"),
        ("reference/windows/fltmgr/frames.py", "from harness.errors import HostError"),
        ("reference/windows/fltmgr/frames.py", "from harness.contract import catalogue"),
    ],
)
def test_an_import_from_above_is_noticed(module: str, source: str) -> None:
    assert forbidden_imports(source, ROOT / "harness" / module)


@pytest.mark.parametrize("source", ["from harness.nt import Irql", "from harness.machine.qmp import Qmp", "import os"])
def test_an_import_from_below_is_allowed(source: str) -> None:
    assert forbidden_imports(source, ROOT / "harness" / "machine" / "qemu.py") == []
