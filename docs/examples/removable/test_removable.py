"""The guard of removable media leaves V:, which is fixed, alone."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("removable")


def test_a_fixed_volume_is_none_of_its_business(lab: Lab) -> None:
    io = lab.io(r"""
        open f V:\a.txt access=write disposition=create
        attach removable
    """)

    assert io["f"].status == NtStatus.SUCCESS
    assert io.step("attach").status == 0x801F000F  # ERROR_FLT_DO_NOT_ATTACH
