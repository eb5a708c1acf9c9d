"""A suite for a driver of one's own: `fltlab run --drivers docs/examples docs/examples/guard`."""

import pytest

from harness.nt import IrpMajor, NtStatus

pytestmark = pytest.mark.stack("observer@above", "guard", "observer@below")


@pytest.mark.parametrize("name", ["plan.secret", "PLAN.SECRET"])
@pytest.mark.rule("PRE-COMP-01", "PRE-COMP-03")
def test_a_secret_file_cannot_be_opened_for_reading(lab, volume, name):
    volume.file(name, length=4096)

    io = lab.io(rf"open plan V:\{name} access=read")

    assert io.step("open", "plan").status == NtStatus.ACCESS_DENIED
    create = lab.trace.only(IrpMajor.CREATE, name=name)
    assert create.path == ["above.pre", "above.post"]


@pytest.mark.parametrize("access", ["write", "attributes"])
def test_a_secret_file_can_be_opened_for_anything_else(lab, volume, access):
    volume.file("plan.secret", length=4096)

    io = lab.io(rf"open plan V:\plan.secret access={access}")

    assert io.step("open", "plan").status == NtStatus.SUCCESS


def test_other_files_are_none_of_its_business(lab, volume):
    volume.file("plan.txt", length=4096)

    io = lab.io(r"open plan V:\plan.txt access=read")

    assert io.step("open", "plan").status == NtStatus.SUCCESS
    assert lab.trace.only(IrpMajor.CREATE, name="plan.txt").path == [
        "above.pre",
        "below.pre",
        "below.post",
        "above.post",
    ]
