"""*.aes files are plain to programs, and no two of them are alike on the disk."""

import pytest

from fltlab import Lab

pytestmark = pytest.mark.stack("aescrypt")
WRITE = r"""
    open  {0} V:\{0} access=rw disposition=create
    write {0} length=5000 fill=0x41
    write {0} offset=4090 text=ACROSS-PAGES
    close {0}
"""
READ = "open r-{0} V:\\{0} access=read options={1}\nread r-{0} offset={2} length={3}\nclose r-{0}\n"


def test_what_was_written_comes_back_and_is_something_else_on_the_disk(lab: Lab) -> None:
    written = WRITE.format("a.aes") + WRITE.format("b.aes") + WRITE.format("c.txt") + "sleep 5000\n"
    plain = READ.format("a.aes", "sequential", 4088, 16) + READ.format("b.aes", "noncached", 4096, 512)
    raw = "".join(READ.format(name, "noncached", 0, 512) for name in ("a.aes", "b.aes", "c.txt"))

    io = lab.io(written + plain.replace("r-", "p-") + "unload aescrypt\n" + raw)

    cached, noncached, a, b, c = io.all("read")
    assert cached.data == b"AAACROSS-PAGESAA"
    assert noncached.data == b"-PAGES" + b"A" * 58
    assert c.data == b"A" * 64
    assert b"A" * 8 not in a.data
    assert b"A" * 8 not in b.data
    assert a.data != b.data


def test_a_file_is_read_where_it_was_written_by_another_name(lab: Lab) -> None:
    io = lab.io(
        WRITE.format("a.aes")
        + "open x V:\\a.aes access=rw,delete\nset x class=rename path=V:\\renamed.aes\nclose x\n"
        + READ.format("renamed.aes", "noncached", 0, 512)
    )

    assert io.step("read").data == b"A" * 64
