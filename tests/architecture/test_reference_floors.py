"""The floors inside the reference kernel, and how large a circle of imports may be there."""

import sys
from collections import Counter
from functools import cache
from pathlib import Path

from tests.architecture.test_layers import ROOT, all_imports

REFERENCE = ROOT / "harness" / "reference"
LARGEST_CIRCLE = 7
BELOW_FS = ("ntos", "structures", "verifier", "fsrtl", "io", "cc")
DEFINING = ("\n@export(", "\n@service(", "\n@filter_call(")


@cache
def graph() -> dict[str, set[str]]:
    """The modules of the reference kernel, each with those that it imports; for types only counts as well."""
    files = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in REFERENCE.rglob("*.py")}
    edges: dict[str, set[str]] = {name: set() for name in files}
    for name, path in files.items():
        for _, imported in all_imports(path.read_text(), path):
            if imported in files:
                edges[name].add(imported)
    return edges


def circles(edges: dict[str, set[str]]) -> list[set[str]]:
    """The strongly connected components of more than one module (Tarjan)."""
    sys.setrecursionlimit(10_000)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in edges[module]:
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            circle = set(stack[stack.index(module) :])
            del stack[stack.index(module) :]
            found.append(circle)

    for module in edges:
        if module not in index:
            visit(module)
    return [circle for circle in found if len(circle) > 1]


def imports_between(room: str, other: str) -> list[str]:
    return sorted(
        f"{name} imports {imported}"
        for name, below in graph().items()
        for imported in below
        if name.startswith(f"harness.reference.{room}") and imported.startswith(f"harness.reference.{other}")
    )


def test_the_machine_knows_no_windows() -> None:
    assert imports_between("machine", "windows") == []


def test_the_daemon_and_the_kernels_process_know_each_other_only_by_messages() -> None:
    assert imports_between("guestd", "process") == imports_between("guestd", "windows") == []
    assert imports_between("process", "guestd") == imports_between("windows", "guestd") == []
    assert imports_between("windows", "process") == []


def test_the_rooms_below_the_file_system_do_not_import_it() -> None:
    """But for the types of what the I/O manager keeps for it: a volume's content, a file object's open."""
    kept = ("windows.fs.filesystem", "windows.fs.opens")
    found = [line for room in BELOW_FS for line in imports_between(f"windows.{room}.", "windows.fs.")]

    assert [line for line in found if not (".io." in line and line.endswith(kept))] == []


def test_circles_of_imports_are_small() -> None:
    assert [circle for circle in circles(graph()) if len(circle) > LARGEST_CIRCLE] == []


def test_the_circles_of_a_graph_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [{"a", "b", "c"}]


def test_a_file_is_found_by_its_name() -> None:
    names = Counter(path.name for path in REFERENCE.rglob("*.py") if not path.name.startswith("__"))

    assert {name for name, count in names.items() if count > 1} == set()


def modules_that_define_exports() -> set[str]:
    return {name for name in graph() if any(mark in source_of(name) for mark in DEFINING)}


def source_of(module: str) -> str:
    return (ROOT / Path(*module.split("."))).with_suffix(".py").read_text()


def test_nobody_imports_a_module_that_defines_exports() -> None:
    """What others need of it is in a module beside it, which takes what it needs instead of the whole kernel."""
    defining = modules_that_define_exports()

    assert len(defining) > 50
    assert [f"{name} imports {other}" for name, below in graph().items() for other in below & defining] == []


def test_every_room_that_may_define_exports_is_read() -> None:
    from harness.reference.windows.export_rooms import ROOMS

    assert {name.split(".")[3] for name in modules_that_define_exports()} <= set(ROOMS)
