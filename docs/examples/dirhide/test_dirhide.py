"""Hidden entries are in no listing: first, last, in between, alone, and at the end of a page."""

import pytest

from fltlab import Lab, NtStatus, Step

pytestmark = pytest.mark.stack("observer@above", "dirhide")
NAME_AT = {"names": 12, "directory": 64, "full": 68, "both": 94, "id-both": 104, "id-full": 80}


def listed(steps: list[Step], kind: str) -> list[str]:
    """The names of a listing, page by page."""
    found = []
    for step in steps:
        at, following = 0, 1
        while step.status == NtStatus.SUCCESS and following:
            following = int.from_bytes(step.data[at : at + 4], "little")
            length_at = at + (8 if kind == "names" else 60)
            length = int.from_bytes(step.data[length_at : length_at + 4], "little")
            begin = at + NAME_AT[kind]
            found.append(step.data[begin : begin + length].decode("utf-16-le"))
            at += following
    return found


def make(*names: str) -> str:
    lines = [r"open d V:\d access=list disposition=create options=directory"]
    lines += [f"open f{n} V:\\d\\{name} access=write disposition=create" for n, name in enumerate(names)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("kind", NAME_AT)
def test_what_is_left_is_listed_whole_in_every_class(lab: Lab, kind: str) -> None:
    names = [".hidden-1", "a.txt", ".hidden-2", ".HIDDEN-3", "bb.txt", "z.hidden-", ".hidden-4"]

    io = lab.io(make(*names) + f"directory d class={kind}\ndirectory d class={kind} continue")

    assert listed(io.all("directory"), kind) == [".", "..", "a.txt", "bb.txt", "z.hidden-"]
    assert io.all("directory")[1].status == NtStatus.NO_MORE_FILES


def test_entry_by_entry_the_hidden_ones_are_passed_over(lab: Lab) -> None:
    steps = "directory d single\n" + "directory d single continue\n" * 4

    io = lab.io(make(".hidden-1", ".hidden-2", "a.txt", ".hidden-3") + steps)

    assert listed(io.all("directory"), "names") == [".", "..", "a.txt"]
    assert [step.status for step in io.all("directory")[-2:]] == [NtStatus.NO_MORE_FILES] * 2


def test_a_pattern_that_only_fits_hidden_ones_finds_nothing(lab: Lab) -> None:
    io = lab.io(make(".hidden-1", ".hidden-2") + "directory d pattern=.hid*\ndirectory d pattern=.hid* continue")

    assert [step.status for step in io.all("directory")] == [NtStatus.NO_MORE_FILES] * 2


def test_pages_that_are_full_of_hidden_ones_are_passed_over(lab: Lab) -> None:
    names = [f".hidden-{n:03}-{'x' * 100}" for n in range(60)] + ["zz.txt"]

    io = lab.io(make(*names) + "directory d\n" + "directory d continue\n" * 3)

    assert listed(io.all("directory"), "names") == [".", "..", "zz.txt"]
