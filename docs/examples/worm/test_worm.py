"""A record is written once, read ever after, and can be changed and deleted in no way."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "worm", "observer@below")
RECORD = r"""
    open d V:\records access=list disposition=open-if options=directory
    open f V:\records\{0}.txt access=rw disposition=create
    write f text=FIRST
    write f text=-AND-LAST
    close f
"""


def test_a_record_can_be_read_and_not_changed_in_any_way(lab: Lab) -> None:
    io = lab.io(
        RECORD.format("a")
        + r"""
        open r V:\records\a.txt access=read
        read r length=32
        set  r class=disposition-ex value=0x13
        open w V:\records\a.txt access=rw
        open x V:\records\a.txt access=read disposition=overwrite
        open y V:\records\a.txt access=delete
        open z V:\records\a.txt access=read,delete options=delete-on-close
        open s V:\records\a.txt access=attributes,write-attributes
        set  s class=basic value=0x80
        delete V:\records\a.txt
        query r class=basic
        """
    )

    assert io.step("read").data == b"FIRST-AND-LAST"
    refused = [io[name].status for name in ("w", "x", "y", "z")]
    assert refused == [NtStatus.MEDIA_WRITE_PROTECTED] * 4
    assert io.step("delete").status == NtStatus.MEDIA_WRITE_PROTECTED
    assert io.step("query").data[32] & 1, "it is read-only still"


def test_a_file_anywhere_else_is_changed_as_ever(lab: Lab) -> None:
    io = lab.io(
        r"""
        open f V:\a.txt access=rw,delete disposition=create
        write f text=FIRST
        close f
        open g V:\a.txt access=rw disposition=overwrite
        close g
        delete V:\a.txt
        """
    )

    assert {step.status for step in io.steps} == {NtStatus.SUCCESS}
