"""A sequential reader is given what was read ahead of it, and never what has been overwritten since."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "prefetch", "observer@below")
MAKE = r"""
    open  f V:\a.bin access=rw disposition=create options={}
    write f offset=0 length=4096 fill=0x41
    write f offset=4096 length=4096 fill=0x42
    write f offset=8192 length=4096 fill=0x43
    write f offset=12288 length=4096 fill=0x44
"""
READ = "\n".join(f"read f offset={4096 * block} length=4096 async=r{block}\nwait r{block}" for block in range(5))


def test_the_third_block_and_what_follows_comes_from_ahead(lab: Lab) -> None:
    io = lab.io(MAKE.format("noncached,overlapped") + READ)

    assert [step.data[:1] for step in io.all("wait")] == [b"A", b"B", b"C", b"D", b""]
    assert io.all("wait")[-1].status == NtStatus.END_OF_FILE
    given = [line.text for line in lab.trace.prints if line.text.startswith("prefetch")]
    assert [line.split()[4] for line in given] == ["8192,", "12288,"]


def test_what_was_written_meanwhile_is_read(lab: Lab) -> None:
    io = lab.io(
        MAKE.format("noncached")
        + "read f offset=0 length=4096\nread f offset=4096 length=4096\n"
        + "write f offset=8192 length=4096 fill=0x5A\nread f offset=8192 length=4096"
    )

    assert io.all("read")[-1].data[:1] == b"Z"
