"""What was in a block before its first write is kept, once, however it is written."""

import pytest

from fltlab import IrpMajor, Lab, NtStatus, PreopStatus, Volume

pytestmark = pytest.mark.stack("observer@above", "snapshot", "observer@below")
READ = """
    open s V:\\a.bin:snapshot access=read
    read s offset=0 length=8
    read s offset=4096 length=8
"""


@pytest.mark.parametrize("options", ["sequential", "noncached", "overlapped,noncached"])
def test_the_first_content_of_a_block_is_kept(lab: Lab, volume: Volume, options: str) -> None:
    volume.file("a.bin", length=8192, fill=0x41)

    io = lab.io(
        rf"""
        open  f V:\a.bin access=rw options={options}
        write f offset=4096 length=512 fill=0x42
        write f offset=4096 length=512 fill=0x43
        {READ}
        """
    )

    first, second = io.all("read")
    assert [step.status for step in io.all("write")] == [NtStatus.SUCCESS] * 2
    assert second.data == b"A" * 8
    assert first.data == bytes(8), "a block that was not written is not kept"
    pended = [event for event in lab.trace.seen if event.major is IrpMajor.WRITE and event.filter == "snapshot"]
    assert any(event.returned is PreopStatus.PENDING for event in pended)


def test_a_new_file_has_nothing_to_keep(lab: Lab) -> None:
    io = lab.io("open f V:\\b.bin access=rw disposition=create\nwrite f offset=0 text=NEW\nopen s V:\\b.bin:snapshot")

    assert io["s"].status == NtStatus.OBJECT_NAME_NOT_FOUND
