"""The driver that tells by events: nobody listens to its provider here, but what it prints is captured."""

import pytest

from fltlab import Lab

pytestmark = pytest.mark.stack("observer@above", "eventlog")


def test_deletes_and_renames_are_events(lab: Lab) -> None:
    lab.io(r"""
        open f V:\a.txt access=rw,delete disposition=create
        set f class=rename path=V:\b.txt
        set f class=disposition value=1
        close f
    """)

    assert [line.text.strip() for line in lab.trace.prints] == [
        "eventlog: event 2 of a.txt",
        "eventlog: event 1 of b.txt",
    ]
