"""The FSCTL filter: what it refuses, what it answers, and what it edits."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "fsctls")
SET_SPARSE, GET_REPARSE_POINT, VOLUME_DATA = 0x900C4, 0x900A8, 0x90064
OURS, OURS_NEITHER = 0x90000 | 3000 << 2, 0x90003 | 3000 << 2


def test_codes_are_refused_answered_and_edited(lab: Lab) -> None:
    io = lab.io(rf"""
        open f V:\a.txt access=rw disposition=create
        fsctl f code={SET_SPARSE}
        fsctl f code={GET_REPARSE_POINT} out=100
        fsctl f code={OURS} out=8
        fsctl f code={OURS_NEITHER} out=8
        fsctl f code={OURS_NEITHER} out=4
        open v V: access=rw
        fsctl v code={VOLUME_DATA} out=96
    """)

    sparse, reparse, buffered, neither, small, volume = io.all("fsctl")
    assert sparse.status == NtStatus.INVALID_DEVICE_REQUEST
    assert reparse.status == NtStatus.NOT_A_REPARSE_POINT
    assert buffered.data == neither.data
    assert neither.data[4:] != bytes(4)
    assert small.status == NtStatus.BUFFER_TOO_SMALL
    assert volume.data[:8] == bytes.fromhex("8877665544332211")
