"""docs/reliability.md names tests that are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = [
    line for line in PAGE.partition("## The faults")[2].partition("\n## ")[0].splitlines() if line.startswith("| ")
][1:]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_every_fault_is_proved_by_a_test_that_is_there(row: str):
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == 4
    named = re.fullmatch(r"`([\w/.]+)::(\w+)`", cells[3])
    assert named, cells[3]
    tree = ast.parse((ROOT / named[1]).read_text(encoding="utf-8"))
    assert named[2] in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_test_of_this_folder_that_breaks_something_is_in_the_page():
    modules = ("test_drivers_that_break", "test_host", "test_local_guest", "test_reference_guest", "test_silence")
    missing = []
    for module in modules:
        tree = ast.parse((ROOT / "tests" / "reliability" / f"{module}.py").read_text(encoding="utf-8"))
        names = (node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))
        missing += [name for name in names if f"{module}.py::{name}`" not in PAGE]
    assert missing == []


def test_the_figures_are_filled_in():
    assert "FIGURES" not in PAGE
    assert "\nSOAK" not in PAGE
