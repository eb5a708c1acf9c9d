"""A handle that reads is told to leave the time of the last access alone, below everybody; others are not."""

import pytest

from fltlab import IrpMajor, Lab

pytestmark = pytest.mark.stack("observer@above", "noatime", "observer@below")


@pytest.mark.parametrize(("access", "told"), [("read", 1), ("rw", 1), ("write", 0), ("attributes", 0)])
def test_only_who_reads_is_told(lab: Lab, access: str, told: int) -> None:
    lab.io(rf"open a V:\a.txt access={access} disposition=create")

    sets = lab.trace.all(IrpMajor.SET_INFORMATION)
    assert [operation.path for operation in sets] == [["below.pre", "below.post"]] * told


def test_the_time_of_a_last_access_stays_as_it_was(lab: Lab) -> None:
    io = lab.io(
        r"""
        open a V:\a.txt access=rw disposition=create
        write a text=CONTENT
        query a class=basic
        sleep 5000
        read a offset=0 length=7
        write a offset=0 text=LATER
        query a class=basic
        """
    )

    before, after = (step.data for step in io.all("query"))
    assert after[8:16] == before[8:16], "the last access"
    assert after[16:24] != before[16:24], "the last write"
