"""Which tests are about which rule, and over what: read from the suites' source, without running anything."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

EVERY_CLASS = "every class"
_EVERY_SCRIPT = frozenset({"EVERY_OPERATION", "WITHOUT_NOTICE", "UNDER_WAY"})
"""The scripts that make operations of every class (harness/minifilter/operation_classes.py)."""


def rule_coverage(suites: Path) -> dict[str, list[str]]:
    """For each rule id that a mark names, the tests that carry it, as `completion/test_completion.py::test_x`."""
    coverage: dict[str, list[str]] = {}
    for path, node, rules in _marked(suites):
        for rule in rules:
            coverage.setdefault(rule, []).append(f"{path.relative_to(suites).as_posix()}::{node.name}")
    return coverage


def rule_classes(suites: Path) -> dict[str, list[str]]:
    """For each rule id that a mark names, the classes of operations over which its tests hold it.

    `EVERY_CLASS` alone where one of them goes through operations of every class and asks of each, else the major
    functions that they name; no class where they name none, and are about loading, attaching or objects, say.
    """
    classes: dict[str, set[str]] = {}
    for _, node, rules in _marked(suites):
        named = set(_classes_of(node))
        for rule in rules:
            classes.setdefault(rule, set()).update(named)
    return {rule: [EVERY_CLASS] if EVERY_CLASS in found else sorted(found) for rule, found in classes.items()}


def _classes_of(test: ast.FunctionDef) -> Iterator[str]:
    """What a test's source says of what it does: a script of every class, members of IrpMajor."""
    for node in ast.walk(test):
        if isinstance(node, ast.Name) and node.id in _EVERY_SCRIPT:
            yield EVERY_CLASS
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "IrpMajor":
            yield node.attr


def _marked(suites: Path) -> Iterator[tuple[Path, ast.FunctionDef, list[str]]]:
    """Each test with its file and the ids of its rules, its module's among them."""
    for path in sorted(suites.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        of_module = [rule for node in tree.body if isinstance(node, ast.Assign) for rule in _module_rules(node)]
        for node in _tests(tree.body):
            own = [rule for decorator in node.decorator_list for rule in _rules(decorator)]
            yield path, node, list(dict.fromkeys([*of_module, *own]))


def _tests(body: Sequence[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """The tests of a module and its classes; what stands deeper is none."""
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from _tests(node.body)


def _module_rules(node: ast.Assign) -> Iterator[str]:
    if any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets):
        marks = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
        for mark in marks:
            yield from _rules(mark)


def _rules(node: ast.expr) -> Iterator[str]:
    """The ids of a `pytest.mark.rule("…", …)`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "rule":
        for argument in node.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value
