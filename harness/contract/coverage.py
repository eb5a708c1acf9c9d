"""Which tests are about which rule: read from the marks in the suites' source, without running anything."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path


def rule_coverage(suites: Path) -> dict[str, list[str]]:
    """For each rule id that a mark names, the tests that carry it, as `completion/test_completion.py::test_x`."""
    coverage: dict[str, list[str]] = {}
    for path in sorted(suites.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        of_module = [rule for node in tree.body if isinstance(node, ast.Assign) for rule in _module_rules(node)]
        for node in _tests(tree.body):
            own = [rule for decorator in node.decorator_list for rule in _rules(decorator)]
            for rule in dict.fromkeys([*of_module, *own]):
                coverage.setdefault(rule, []).append(f"{path.relative_to(suites).as_posix()}::{node.name}")
    return coverage


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
