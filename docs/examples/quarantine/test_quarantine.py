"""What the service calls bad is moved away after it was written, and opened by nobody else there."""

import struct

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "quarantine", "observer@below")
WRITE = r"""
    open  q V:\quarantine access=list disposition=open-if options=directory
    close q
    open  f V:\{0}.txt access=write disposition=create
    write f text={1}
    close f
    sleep 100
"""


def test_a_bad_file_is_moved_and_a_good_one_stays(lab: Lab) -> None:
    io = lab.io(
        WRITE.format("good", "WELL-KNOWN")
        + WRITE.format("bad", "IT-IS-EICAR-INDEED")
        + r"""
        open g V:\good.txt access=read
        open b V:\bad.txt access=read
        open m V:\quarantine\bad.txt access=read
        open d V:\quarantine access=list options=directory
        directory d pattern=*.txt
        """
    )

    assert io["g"].status == NtStatus.SUCCESS
    assert io["b"].status == NtStatus.OBJECT_NAME_NOT_FOUND
    assert io["m"].status == NtStatus.VIRUS_INFECTED
    assert "bad.txt".encode("utf-16-le") in io.step("directory").data
    said = lab.programs[0].stop()
    assert said.output.splitlines()[1:] == ["good good.txt 10", "bad bad.txt 18", "done"]


def test_a_client_is_told_how_many_were_asked_about(lab: Lab) -> None:
    counts = "connect c \\quarantine context=01\nsend-message c room=8\nsend-message c room=7\n"

    io = lab.io(counts + WRITE.format("x", "NOTHING") + "send-message c room=8")

    before, short, after = io.all("send-message")
    assert short.status == 0x8007007A
    counts_of = [struct.unpack("<II", step.data) for step in (before, after)]
    assert [later - earlier for earlier, later in zip(*counts_of, strict=True)] == [1, 0]


def test_without_its_service_nothing_is_moved(lab: Lab) -> None:
    lab.programs[0].kill()

    io = lab.io(WRITE.format("bad", "IT-IS-EICAR-INDEED") + r"open b V:\bad.txt access=read")

    assert io["b"].status == NtStatus.SUCCESS
