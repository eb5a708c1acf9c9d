"""Notifications without the temporary files."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("dirnotify", "observer@below")
WATCH = r"""
    open d V:\ access=list options=directory,overlapped
    notify d async=first
    open f V:\{name} access=write disposition=create
    close f
    wait first timeout=2000
"""


def test_a_temporary_file_is_told_without_its_name(lab: Lab) -> None:
    told = lab.io(WATCH.format(name="a.tmp")).step("wait")

    assert (told.status, told.information) == (NtStatus.NOTIFY_ENUM_DIR, 0)


def test_another_is_told(lab: Lab) -> None:
    told = lab.io(WATCH.format(name="b.txt")).step("wait")

    assert told.status == NtStatus.SUCCESS
    assert told.information > 0
    assert "b.txt".encode("utf-16-le") in told.data
