"""Provenance in an extended attribute: each new file has it, and no program changes it."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "eatag")


def test_a_new_file_is_marked_and_the_mark_stays(lab: Lab) -> None:
    io = lab.io(r"""
        open f V:\a.txt access=0x1F01FF disposition=create
        query-ea f
        set-ea f name=ORIGIN text=FORGED
        set-ea f name=OTHER text=MINE
        query-ea f
    """)

    first, second = io.all("query-ea")
    assert b"ORIGIN" in first.data
    assert [step.status for step in io.all("set-ea")] == [NtStatus.ACCESS_DENIED, NtStatus.SUCCESS]
    assert b"OTHER" in second.data
    assert first.data[8:31] == second.data[8:31]
