"""What ran of drivers' sources, as lcov's tracefile and as Cobertura's document."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.guest.dump.symbols import Frame
from harness.report.coverage.cobertura import DOCTYPE, cobertura
from harness.report.coverage.code_map import Instruction
from harness.report.coverage.lcov import lcov
from harness.report.coverage.line_coverage import Ran, SourceFile, find_source, lines_of, merged
from harness.report.coverage.measured import parse_target

# Element: its children in their order, and the attributes that coverage-04.dtd requires of it.
DTD = {
    "coverage": (
        ["sources", "packages"],
        "line-rate branch-rate lines-covered lines-valid branches-covered branches-valid complexity version timestamp",
    ),
    "sources": (["source"], ""),
    "source": ([], ""),
    "packages": (["package"], ""),
    "package": (["classes"], "name line-rate branch-rate complexity"),
    "classes": (["class"], ""),
    "class": (["methods", "lines"], "name filename line-rate branch-rate complexity"),
    "methods": (["method"], ""),
    "method": (["lines"], "name signature line-rate branch-rate"),
    "lines": (["line"], ""),
    "line": (["conditions"], "number hits"),
    "conditions": (["condition"], ""),
    "condition": ([], "number type coverage"),
}
TRACEFILE = """TN:fltlab
SF:/src/a.c
FN:3,Create
FN:9,Never
FNDA:4,Create
FNDA:0,Never
FNF:2
FNH:1
BRDA:5,0,0,3
BRDA:5,0,1,1
BRDA:5,1,0,0
BRDA:5,1,1,3
BRDA:9,0,0,-
BRDA:9,0,1,-
BRF:6
BRH:3
DA:3,4
DA:5,4
DA:9,0
LF:3
LH:2
end_of_record
"""


def a_file() -> SourceFile:
    return SourceFile(
        "/src/a.c",
        Path("/src/a.c"),
        lines={5: 4, 3: 4, 9: 0},
        functions={"Never": (9, 0), "Create": (3, 4)},
        branches={5: [(3, 1), (0, 3)], 9: [None]},
    )


def test_a_tracefile_has_functions_branches_and_lines() -> None:
    assert lcov([a_file()]) == TRACEFILE


def test_a_document_is_as_the_dtd_of_cobertura_wants_it() -> None:
    text = cobertura({"one": [a_file()], "two": []}, 1_795_000_000, "0.1.0")
    root = ET.fromstring(text)

    assert text.splitlines()[1] == DOCTYPE
    for element in root.iter():
        children, attributes = DTD[element.tag]
        order = [children.index(child.tag) for child in element]
        assert order == sorted(order)
        assert set(attributes.split()) <= set(element.attrib)
    assert root.find("packages/package/classes/class").attrib["filename"] == "a.c"
    (jump,) = (line for line in root.iter("line") if line.get("branch") == "true" and line.get("number") == "5")
    assert jump.get("condition-coverage") == "75% (3/4)"


def test_what_two_drivers_ran_of_one_file_is_added_up() -> None:
    (file,) = merged([{"/src/a.c": a_file()}, {"/src/a.c": a_file()}])

    assert file.lines == {3: 8, 5: 8, 9: 0}
    assert file.functions == {"Create": (3, 8), "Never": (9, 0)}
    assert file.branches == {5: [(6, 2), (0, 6)], 9: [None]}


def _code(*lines: tuple[int, int, str]) -> list[Instruction]:
    """Instructions of two bytes, by offset, line and mnemonic."""
    frames = {line: (Frame("Create", "a.c", line),) for _, line, _ in lines}
    return [Instruction(at, at + 2, frames[line], kind == "jne", kind == "mov") for at, line, kind in lines]


def test_a_line_is_hit_as_often_as_the_most_frequent_of_its_instructions(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("")
    ran = Ran()
    ran.add([(0, 4, 5), (4, 6, 2)], [(4, 2, 3)])
    ran.add([(0, 4, 1)], [(4, 0, 1)])

    (file,) = lines_of(_code((0, 3, "mov"), (2, 5, "jne"), (4, 3, "ret"), (6, 9, "ret")), ran, tmp_path).values()

    assert (file.lines, file.branches) == ({3: 6, 5: 6, 9: 0}, {5: [(2, 4)]})
    assert file.functions == {"Create": (3, 6)}


def test_the_rest_of_a_block_that_was_told_short_ran_too(tmp_path: Path) -> None:
    ran = Ran()
    ran.add([(0, 2, 7)], [])

    (file,) = lines_of(_code((0, 1, "mov"), (2, 2, "mov"), (4, 3, "ret"), (6, 4, "ret")), ran, tmp_path).values()

    assert file.lines == {1: 7, 2: 7, 3: 7, 4: 0}


def test_a_source_is_found_by_the_end_of_the_path_that_another_machine_gave_it(tmp_path: Path) -> None:
    source = tmp_path / "project" / "driver" / "src" / "a.c"
    source.parent.mkdir(parents=True)
    source.write_text("")

    assert find_source(r"D:\build\driver\src\a.c", tmp_path / "project" / "driver") == source
    assert find_source("driver/src/a.c", tmp_path / "project" / "driver") == source
    assert find_source(r"D:\kit\wdm.h", tmp_path / "project" / "driver") is None


@pytest.mark.parametrize("name", ["coverage.txt", "coverage", "missing/coverage.xml"])
def test_a_file_that_cannot_be_meant_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"--coverage {name}: "):
        parse_target(name, tmp_path)
