"""The process guard: who begins and who writes is told by image; what is forbidden does not begin."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "procguard")
WRITE = r"""
    open f V:\a.txt access=write disposition=open-if
    write f text=1998
    write f text=1999
"""


def test_the_image_of_who_writes_is_known(lab: Lab) -> None:
    lab.io(WRITE)

    told = [line.text.strip() for line in lab.trace.prints]
    assert [line for line in told if line.endswith(r"\fltprobe.exe writes")] == [told[-1]]


def test_a_forbidden_command_line_does_not_start(lab: Lab) -> None:
    with pytest.raises(Exception, match=r"VIRUS_INFECTED|0xC0000906"):
        lab.start(r"C:\fltlab\fltprobe.exe --Encrypt-Everything")

    assert lab.io(WRITE)["f"].status == NtStatus.SUCCESS
