"""Opens below \\archive arrive below \\store\\2024, and nowhere else."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "simrep", "observer@below")
MAKE = r"""
    open s V:\store access=list disposition=create options=directory
    open y V:\store\2024 access=list disposition=create options=directory
"""


@pytest.mark.parametrize("name", [r"\archive\a.txt", r"\ARCHIVE\A.TXT", r"\archive\a.txt:notes"])
def test_what_is_made_below_the_mapping_is_made_in_the_other_place(lab: Lab, name: str) -> None:
    target = name.lower().replace(r"\archive", r"\store\2024")

    io = lab.io(
        rf"""
        {MAKE}
        open f V:{name} access=rw disposition=create
        write f text=MOVED
        close f
        open g V:{target} access=read
        read g length=5
        query-path V:{name}
        """
    )

    assert io["f"].status == NtStatus.SUCCESS
    assert io.step("read").data == b"MOVED"
    assert io.step("query-path").status == NtStatus.SUCCESS or ":" in name


def test_a_name_that_only_begins_like_it_is_left_alone(lab: Lab) -> None:
    io = lab.io(MAKE + "open f V:\\archives.txt access=rw disposition=create\nquery f class=name")

    assert io.step("query").data[4:].decode("utf-16-le") == r"\archives.txt"


def test_the_directory_itself_lists_the_other(lab: Lab) -> None:
    io = lab.io(
        MAKE
        + "open f V:\\store\\2024\\x.txt access=rw disposition=create\n"
        + "open d V:\\archive access=list options=directory\ndirectory d pattern=*.txt"
    )

    assert "x.txt".encode("utf-16-le") in io.step("directory").data
