"""The versioner: what was there before it was overwritten is beside it."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "versions")


def test_each_version_is_kept(lab: Lab) -> None:
    io = lab.io(r"""
        open a V:\one.cfg access=write disposition=create
        write a text=FIRST
        close a
        open b V:\one.cfg access=write disposition=overwrite
        write b text=SECOND
        close b
        open c V:\ONE.CFG access=write disposition=supersede
        close c
        open d V:\one.cfg.1.old access=read
        read d length=10
        open e V:\one.cfg.2.old access=read
        read e length=10
        open f V:\one.cfg.3.old access=read
    """)

    assert [step.data for step in io.all("read")] == [b"FIRST", b"SECOND"]
    assert io["f"].status == NtStatus.OBJECT_NAME_NOT_FOUND
