"""Who opens a ledger to change it is told by the SID of his token; readers are not."""

import pytest

from fltlab import Lab

pytestmark = pytest.mark.stack("observer@above", "auditor")


def test_who_changes_a_ledger_is_told(lab: Lab) -> None:
    lab.io(
        r"""
        open a V:\2026.ledger access=rw disposition=create
        close a
        open b V:\2026.ledger access=read
        open c V:\other.txt access=rw disposition=create
        open d V:\2026.LEDGER access=append
        """
    )

    lines = [line.text for line in lab.trace.prints if line.text.startswith("auditor")]
    assert len(lines) == 2
    assert all(line.split()[1].startswith("S-1-5-21-") and " admin elevated " in line for line in lines)
    assert "impersonating" not in "".join(lines)
