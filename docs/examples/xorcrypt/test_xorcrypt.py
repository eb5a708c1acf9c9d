"""Scrambled without a header: plain through the driver, cached, mapped or not, and another content below it."""

import pytest

from fltlab import Lab, Volume

pytestmark = pytest.mark.stack("xorcrypt")


def scrambled(text: bytes) -> bytes:
    return bytes(byte ^ 0x5A for byte in text)


def test_what_was_written_is_read_in_every_way(lab: Lab) -> None:
    io = lab.io(
        r"""
        open  f V:\a.txt access=rw disposition=create
        write f text=PLAIN-TEXT
        read  f offset=0 length=10
        flush f
        open  n V:\a.txt access=read options=noncached
        read  n offset=0 length=512
        section s f
        map   v s
        peek  v offset=6 length=4
        unmap v
        close-section s
        close n
        close f
        detach xorcrypt
        open  b V:\a.txt access=read options=noncached
        read  b offset=0 length=512
        """
    )

    cached, noncached, below = io.all("read")
    assert cached.data == b"PLAIN-TEXT"
    assert noncached.data == b"PLAIN-TEXT"
    assert io.step("peek").data == b"TEXT"
    assert below.data == scrambled(b"PLAIN-TEXT")


def test_a_gap_that_a_write_leaves_is_zeros_and_scrambled_too(lab: Lab) -> None:
    io = lab.io(
        r"""
        open  f V:\a.txt access=rw disposition=create
        write f offset=20000 text=FAR-AWAY
        read  f offset=8192 length=16
        flush f
        unload xorcrypt
        open  b V:\a.txt access=read options=noncached
        read  b offset=8192 length=512
        """
    )

    assert [step.data[:16] for step in io.all("read")] == [bytes(16), scrambled(bytes(16))]


def test_what_is_on_the_disk_is_read_plain(lab: Lab, volume: Volume) -> None:
    volume.file("b.bin", content=scrambled(b"was here before"))

    io = lab.io("open f V:\\b.bin access=read\nread f offset=0 length=15")

    assert io.step("read").data == b"was here before"
