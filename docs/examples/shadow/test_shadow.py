"""Who reads a file with a shadow reads the shadow; the file itself is as it was."""

import pytest

from fltlab import Lab, NtStatus, Volume

pytestmark = pytest.mark.stack("observer@above", "shadow")


def test_reads_come_from_the_shadow(lab: Lab, volume: Volume) -> None:
    volume.file("a.txt", content="the file itself")
    volume.file("a.txt.shadow", content="its shadow")

    io = lab.io(
        r"""
        open f V:\a.txt access=rw
        read f offset=0 length=64
        read f offset=4 length=64
        read f offset=10 length=1
        set  f class=position value=8
        read f length=10
        query f class=position
        open o V:\a.txt access=read options=overlapped
        read o offset=4 length=6 async=r
        wait r
        """
    )

    begin, middle, behind, rest, _ = io.all("read")
    assert (begin.data, middle.data, rest.data) == (b"its shadow", b"shadow", b"ow")
    assert behind.status == NtStatus.END_OF_FILE
    assert int.from_bytes(io.step("query").data[:8], "little") == 10
    assert io.step("wait").data == b"shadow"


def test_without_a_shadow_a_file_is_read(lab: Lab, volume: Volume) -> None:
    volume.file("b.txt", content="the file itself")

    io = lab.io("open f V:\\b.txt access=read\nread f offset=0 length=64\nread f offset=4 length=4")

    assert [step.data for step in io.all("read")] == [b"the file itself", b"file"]
