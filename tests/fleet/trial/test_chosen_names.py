"""The workload on names that a driver cares for: what is done on them, what is no name, and what comes of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.fleet.trial import page
from harness.fleet.trial.candidate import find_candidate
from harness.fleet.trial.chosen_names import on_names
from harness.fleet.trial.sightings import Sightings
from harness.fleet.trial.trial import try_driver
from harness.fleet.trial.verdict import TrialOptions, Verdict
from harness.fleet.trial.workload import WORKLOAD
from harness.guest import GuestKind
from harness.minifilter.package import TriedNames, package_of
from harness.minifilter.script import mistakes
from harness.nt import IrpMajor, OperationClass

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"


def test_parts_are_repeated_on_files_of_a_suffix_and_below_a_directory() -> None:
    parts = on_names(["*.docx", "enc"], [r"V:\Users\guarded"])
    by_name = {part.name: part for part in parts}

    assert len(parts) == 3 * 11
    assert r"open  made     V:\docx\create\one.docx access=rw disposition=create" in by_name["create on *.docx"].lines
    assert by_name["create in Users\\guarded"].lines[:3] == (
        r"open folder V:\Users access=list disposition=open-if options=directory",
        r"open folder1 V:\Users\guarded access=list disposition=open-if options=directory",
        r"open folder2 V:\Users\guarded\create access=list disposition=open-if options=directory",
    )
    assert not [part.name for part in parts if mistakes("\n".join(part.lines), ())]
    assert ".txt" not in by_name["rename on *.enc"].script


@pytest.mark.parametrize(
    ("suffixes", "directories"), [([""], []), (["a b"], []), ([r"\x"], []), ([], ["V:\\"]), ([], [r"a\..\b"])]
)
def test_what_is_no_suffix_or_directory_is_refused(suffixes: list[str], directories: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"is no (suffix|directory)"):
        on_names(suffixes, directories)


def test_a_driver_yaml_says_which_names(tmp_path: Path) -> None:
    content = {"name": "a", "description": "a", "sources": ["a.c"], "try": {"suffixes": [".enc"]}}

    assert package_of(content, tmp_path / "driver.yaml").tried == TriedNames(suffixes=(".enc",))


def test_what_a_driver_does_to_files_of_one_suffix_alone_is_seen_on_them() -> None:
    verdict = try_driver(
        find_candidate(EXAMPLES / "ransom"),
        TrialOptions(parts=(WORKLOAD[0], *on_names([".doc"], [])[:1]), hard=False),
    )

    assert verdict.parts == 2
    assert {Path(change.first.file).suffix for change in verdict.changes} == {".doc"}


@pytest.mark.parametrize(("done", "hinted"), [({}, True), ({"pends": [20]}, False), ({"own": 1}, False)])
def test_a_driver_that_did_nothing_is_told_how_to_say_what_it_cares_for(done: dict[str, object], hinted: bool) -> None:
    verdict = Verdict(find_candidate(EXAMPLES / "ransom"), TrialOptions(), GuestKind.REFERENCE_LOCAL)
    verdict.attached, verdict.parts, verdict.sightings = "at 1", 1, Sightings(by_kernel=True)
    row = verdict.sightings.of(IrpMajor.READ, OperationClass.IRP)
    row.pre = 3
    for name, value in done.items():
        setattr(row, name, value)

    told = page.page(verdict, None)
    chosen = page.page(replace(verdict, options=TrialOptions(parts=(*WORKLOAD, *on_names([".a"], [])))), None)

    assert ("--suffix" in told, "these names either" in chosen) == (hinted, hinted)
