"""The auditor of locks: what is granted and what is in the way is told."""

import pytest

from fltlab import Lab, NtStatus, Volume

pytestmark = pytest.mark.stack("observer@above", "locks")


def test_a_refused_lock_is_told_with_what_is_in_its_way(lab: Lab, volume: Volume) -> None:
    volume.file("a.bin", length=4096)

    io = lab.io(r"""
        open f V:\a.bin access=rw
        open g V:\a.bin access=rw
        lock f offset=0 length=100
        lock g offset=50 length=10 shared
        unlock f offset=0 length=100
        lock g offset=50 length=10 shared
    """)

    assert [step.status for step in io.all("lock")] == [
        NtStatus.SUCCESS,
        NtStatus.LOCK_NOT_GRANTED,
        NtStatus.SUCCESS,
    ]
    assert [line.text.strip() for line in lab.trace.prints] == [
        "locks: exclusive of 100 at 0 granted",
        "locks: refused with 0xc0000055, behind 100 at 0",
        "locks: shared of 10 at 50 granted",
    ]
