"""The transaction-aware filter on a volume without TxF: it attaches, says so, and is in nobody's way."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "txwatch")


def test_a_volume_without_transactions_is_told_and_left_alone(lab: Lab) -> None:
    io = lab.io(r"""
        open f V:\a.txt access=rw disposition=create
        write f text=1998
        close f
    """)

    assert {step.status for step in io.steps} == {NtStatus.SUCCESS}
    told = [line.text.strip() for line in lab.trace.prints]
    assert not [line for line in told if "enlisted" in line]
