"""The ransomware guard; its service is played, and says by the name of its image who is trusted."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "ransom")
TWICE = r"""
    open a V:\a.doc access=write disposition=open-if
    open b V:\b.doc access=write disposition=open-if
    open c V:\c.txt access=write disposition=open-if
"""


def test_a_trusted_program_is_asked_about_once(lab: Lab) -> None:
    service = lab.service(r"\ransom")
    service.when("fltprobe.exe").reply(b"\1\0\0\0")

    io = lab.io(TWICE)

    assert [step.status for step in io.all("open")] == [NtStatus.SUCCESS] * 3
    (asked,) = service.messages
    assert asked.text.endswith(r"\fltprobe.exe")
    assert asked.text.startswith("\\Device\\")


def test_one_that_is_not_trusted_writes_no_document(lab: Lab) -> None:
    service = lab.service(r"\ransom")
    service.otherwise().reply(bytes(4))

    io = lab.io(TWICE)

    assert [step.status for step in io.all("open")] == [NtStatus.ACCESS_DENIED] * 2 + [NtStatus.SUCCESS]
    assert len(service.messages) == 2


def test_without_an_answer_in_time_nobody_is_trusted(lab: Lab) -> None:
    service = lab.service(r"\ransom")
    service.otherwise().stay_silent()

    assert lab.io(r"open a V:\a.doc access=write disposition=open-if")["a"].status == NtStatus.ACCESS_DENIED


def test_without_its_service_nobody_is_trusted(lab: Lab) -> None:
    assert lab.io(r"open a V:\a.doc access=write disposition=open-if")["a"].status == NtStatus.ACCESS_DENIED
