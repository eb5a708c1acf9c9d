"""Stubs: their content comes back when they are opened, from the service; without it the open fails."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "hsm")
DEHYDRATE = 0x90000 | 2 << 14 | 3100 << 2
STUB = rf"""
    open f V:\{{name}} access=rw disposition=create
    write f text=LOCAL
    fsctl f code={DEHYDRATE} hex={{key}}
    query f class=attribute-tag
    close f
    open g V:\{{name}} access=read
    read g length=100
"""


def test_a_stub_is_recalled_when_it_is_opened(lab: Lab) -> None:
    io = lab.io(STUB.format(name="seven.txt", key="07000000"))

    assert io.step("fsctl").status == NtStatus.SUCCESS
    assert io.step("query").data[4:8] == (0x51).to_bytes(4, "little")
    assert io.step("open", "g").status == NtStatus.SUCCESS
    assert io.step("read", "g").data == b"from the second tier"
    assert "answered 7" in lab.programs[0].stop().output


def test_what_the_service_does_not_know_is_not_available(lab: Lab) -> None:
    io = lab.io(STUB.format(name="eight.txt", key="08000000"))

    assert io.step("open", "g").status == NtStatus.FILE_NOT_AVAILABLE


def test_a_service_that_never_answers_is_not_waited_for_for_ever(lab: Lab) -> None:
    io = lab.io(STUB.format(name="silent.txt", key="0d000000"))

    assert io.step("open", "g").status == NtStatus.FILE_IS_OFFLINE


def test_a_service_that_dies_while_it_is_asked_lets_the_open_go(lab: Lab) -> None:
    beside = lab.beside(STUB.format(name="dies.txt", key="0d000000"))
    lab.programs[0].kill()

    opened = beside.result().step("open", "g")
    assert opened.status == NtStatus.CLOUD_FILE_PROVIDER_NOT_RUNNING
