"""Run by tests/plugin/test_black_box.py: what the trace of a black box has in it."""

import pytest

from harness.nt import IrpMajor

SCRIPT = r"""
    open  no V:\no.denied access=read disposition=open-if
    open  f V:\yes.txt access=rw disposition=create options=noncached
    write f offset=0 length=4096
    read  f offset=0 length=4096
    unload fltlab-veiled
"""


@pytest.mark.stack("veiled")
def test_alone(lab):
    lab.io(r"open no V:\first.denied access=read disposition=open-if")
    assert [line.text for line in lab.trace.prints] == ["veiled: denied\n"]

    lab.io(SCRIPT)

    assert [line.text for line in lab.trace.prints] == ["veiled: denied\n"]
    assert lab.trace.printed.before == ()


@pytest.mark.stack("observer@above", "veiled", "observer@below")
def test_between_observers(lab):
    lab.io(SCRIPT)

    assert lab.trace.only(IrpMajor.CREATE, name="no.denied").path == ["above.pre", "above.post"]
    (seen,) = lab.trace.whole.all(IrpMajor.CREATE, name="no.denied")
    assert seen.path == ["above.pre", "veiled.pre", "above.post"]
