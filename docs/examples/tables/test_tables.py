"""The table of what was written lately: it counts, and forgets."""

import pytest

from fltlab import Lab

pytestmark = pytest.mark.stack("tables")


def test_writes_are_counted_and_forgotten(lab: Lab) -> None:
    first = lab.io(r"""
        open f V:\a.txt access=write disposition=create
        query f class=internal
    """)
    file_id = first.step("query").data[:8].hex()

    io = lab.io(rf"""
        open f V:\a.txt access=write
        write f text=1
        write f text=2
        connect client \tables
        send-message client data={file_id} room=4
        sleep 5000
        send-message client data={file_id} room=4
    """)

    assert [int.from_bytes(step.data, "little") for step in io.all("send-message")] == [2, 0]
