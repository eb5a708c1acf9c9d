"""PathGuard, by its project and its INF: its registry is that of the INF, and another where a test says so."""

import pytest

from fltlab import Lab, NtStatus, Volume

pytestmark = pytest.mark.stack("observer@above", "pathguard")
ATTEMPTS = r"""
    open kept "V:\{folder}\a.txt" access=delete
    set kept class=disposition value=1
    set kept class=rename path=V:\moved.txt
    open gone "V:\{folder}\a.txt" access=delete options=delete-on-close
"""


def statuses(lab: Lab, folder: str) -> list[int]:
    io = lab.io(ATTEMPTS.format(folder=folder))
    return [*(step.status for step in io.all("set")), io["gone"].status]


@pytest.mark.parametrize("folder", ["guarded", "GUARDED", "vault, the", "appended"])
def test_what_the_inf_lists_cannot_be_deleted_or_renamed(lab: Lab, volume: Volume, folder: str) -> None:
    volume.file(rf"{folder}\a.txt", length=100)

    assert statuses(lab, folder) == [NtStatus.ACCESS_DENIED] * 3


def test_other_paths_are_free(lab: Lab, volume: Volume) -> None:
    volume.file(r"other\a.txt", length=100)

    assert statuses(lab, "other")[0] == NtStatus.SUCCESS
