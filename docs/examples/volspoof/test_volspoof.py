"""The volume that says it is another."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("volspoof", "observer@below")


def test_label_and_size_are_the_filters(lab: Lab) -> None:
    io = lab.io(r"""
        open f V:\a.txt access=rw disposition=create
        query-volume f class=volume
        query-volume f class=size
        query-volume f class=full-size
    """)

    label, size, full = io.all("query-volume")
    assert label.status == NtStatus.SUCCESS
    assert label.data[18 : 18 + 36].decode("utf-16-le") == "Quarantined volume"
    assert size.data[:8] == full.data[:8], "both say the same half"
