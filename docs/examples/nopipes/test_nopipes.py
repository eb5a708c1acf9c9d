"""A filter that knows pipes and declines them: it is on V:, and counts there."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("nopipes")


def test_it_counts_who_opens_for_writing(lab: Lab) -> None:
    io = lab.io(r"""
        open f V:\a.txt access=write disposition=create
        close f
        open g V:\a.txt access=read
        close g
        detach nopipes
    """)

    assert {step.status for step in io.steps} == {NtStatus.SUCCESS}
