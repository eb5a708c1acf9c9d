"""Transfers in \\slow take their time, can be cancelled, and go when the driver goes."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "throttle", "observer@below")
OPEN = r"""
    open  d V:\slow access=list disposition=open-if options=directory
    open  f V:\slow\a.bin access=rw disposition=overwrite-if options=noncached,overlapped
"""


def test_a_transfer_waits_and_one_elsewhere_does_not(lab: Lab) -> None:
    io = lab.io(
        OPEN
        + r"""
        write f offset=0 length=4096 async=w
        wait  w timeout=150
        wait  w timeout=150
        open  g V:\fast.bin access=rw disposition=create options=noncached,overlapped
        write g offset=0 length=4096 async=v
        wait  v timeout=100
        """
    )

    early, late, elsewhere = io.all("wait")
    assert early.status == NtStatus.TIMEOUT
    assert (late.status, late.information) == (NtStatus.SUCCESS, 4096)
    assert elsewhere.status == NtStatus.SUCCESS


def test_what_waits_can_be_cancelled(lab: Lab) -> None:
    io = lab.io(OPEN + "read f offset=0 length=4096 async=r\ncancel f async=r\nwait r timeout=50")

    assert io.step("wait").status == NtStatus.CANCELLED
    assert io.step("wait").information == 0


def test_what_waits_is_let_go_when_the_driver_is_detached(lab: Lab) -> None:
    io = lab.io(OPEN + "write f offset=0 length=4096 async=w\ndetach throttle\nwait w timeout=50")

    assert io.step("wait").status == NtStatus.SUCCESS
