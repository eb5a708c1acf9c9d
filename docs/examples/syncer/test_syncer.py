"""The synchronisation client's driver: what has changed is in its journal, once for each time it was open."""

import pytest

from fltlab import Lab, Volume

pytestmark = pytest.mark.stack("observer@above", "syncer")


def test_what_was_written_is_in_the_journal(lab: Lab, volume: Volume) -> None:
    volume.file("old.txt", length=10)

    io = lab.io(r"""
        open f V:\new.txt access=write disposition=create
        write f text=1
        write f text=2
        close f
        open g V:\old.txt access=rw
        read g length=5
        close g
        open g V:\old.txt access=rw
        write g text=3
        close g
        sleep 500
        open j V:\syncer.journal access=read
        read j length=200
    """)

    assert io.step("read", "j").data.decode("utf-16-le").split() == [r"\new.txt", r"\old.txt"]
