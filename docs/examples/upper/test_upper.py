"""Text is read in capitals in every way, and is on the disk as it was written."""

import pytest

from fltlab import Lab, Volume

pytestmark = pytest.mark.stack("upper")


def test_text_is_read_in_capitals_and_nothing_else_is(lab: Lab, volume: Volume) -> None:
    volume.file("a.txt", content="Once upon a time")
    volume.file("a.doc", content="Once upon a time")

    io = lab.io(
        r"""
        open f V:\a.txt access=read
        read f length=16
        open d V:\a.doc access=read
        read d length=16
        section s f protect=read
        map  v s protect=read
        peek v offset=5 length=4
        """
    )

    assert [step.data for step in io.all("read")] == [b"ONCE UPON A TIME", b"Once upon a time"]
    assert io.step("peek").data == b"UPON"


@pytest.mark.parametrize("options", ["noncached", "noncached,overlapped"])
def test_past_the_cache_too(lab: Lab, volume: Volume, options: str) -> None:
    volume.file("b.txt", length=4096, fill=ord("b"))

    read = lab.io(f"open f V:\\b.txt access=read options={options}\nread f offset=0 length=512").step("read")

    # One in ten completions cannot be posted to where the buffer may be locked (docs/windows.md).
    lab.witness(read.data, "the read could be changed")
    assert read.data in {b"B" * 64, b""}
