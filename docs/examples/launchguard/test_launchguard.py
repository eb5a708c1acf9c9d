"""The launch guard: a program is what its file is called, wherever and by whatever name it is started."""

import pytest

from fltlab import Lab, Volume

pytestmark = pytest.mark.stack("observer@above", "launchguard")
TOOL = r"""
    open f C:\fltlab\fltprobe.exe access=read
    read f offset=0 length=1048576 whole
"""


def put_tool(lab: Lab, volume: Volume, name: str) -> None:
    """Have a program on V: that begins, finds nothing to do, and ends."""
    volume.file(name, content=lab.io(TOOL).step("read").data)
    lab.io("sleep 1")


def told(lab: Lab) -> list[str]:
    lab.io("sleep 1")
    return [line.text.strip() for line in [*lab.trace.printed.before, *lab.trace.prints]]


def test_nothing_starts_from_the_inbox(lab: Lab, volume: Volume) -> None:
    put_tool(lab, volume, r"inbox\tool.exe")

    with pytest.raises(Exception, match="0xC0000022 ACCESS_DENIED"):
        lab.start(r"V:\Inbox\TOOL.exe")

    assert not any("tool.exe" in line for line in told(lab))


def test_what_starts_is_named_by_its_file(lab: Lab, volume: Volume) -> None:
    put_tool(lab, volume, r"tools\tool.exe")

    lab.start(r"V:\TOOLS\tool.exe")

    assert any(line.endswith(r"\tools\tool.exe starts") for line in told(lab))


def test_a_denied_process_does_not_start(lab: Lab, volume: Volume) -> None:
    put_tool(lab, volume, r"tools\miner.exe")

    with pytest.raises(Exception, match="0xC0000906 VIRUS_INFECTED"):
        lab.start(r"V:\tools\miner.exe")

    assert any(line.endswith(r"\tools\miner.exe does not start") for line in told(lab))


def test_who_writes_is_named_by_its_file_too(lab: Lab) -> None:
    lab.io(r"""
        open f V:\a.txt access=write disposition=create
        write f text=1998
    """)

    assert "launchguard: fltprobe.exe writes" in [line.text.strip() for line in lab.trace.prints]
