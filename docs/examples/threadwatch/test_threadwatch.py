"""The thread watcher: a thread that is made, does one thing and ends."""

import pytest

from fltlab import Lab, Volume

pytestmark = pytest.mark.stack("observer@above", "threadwatch")


def test_what_a_thread_has_done_is_told_at_its_end(lab: Lab, volume: Volume) -> None:
    volume.file("a.bin", length=4096)

    lab.io(r"""
        open f V:\a.bin access=read options=noncached
        spawn t read f offset=0 length=512
        wait t
        sleep 100
    """)

    told = [line.text for line in lab.trace.prints]
    assert [line for line in told if "ends after 1 operations" in line]
