"""A driver that nobody looks into: the standard workload comes out as it does without it.

`--replace passthrough=<driver>` puts one's own in its place; what it is meant to change, `changes` of its driver.yaml
says. `fltlab try` does the same for a driver alone, and tells more.
"""

import pytest

from harness.nt import IrpMajor

PENDED = [IrpMajor.CREATE, IrpMajor.READ, IrpMajor.WRITE, IrpMajor.SET_INFORMATION, IrpMajor.CLEANUP]


@pytest.mark.stack("observer@above", "passthrough", "observer@below")
@pytest.mark.parametrize(
    "parts",
    [
        ("create", "rename", "delete"),
        ("cached", "noncached", "mapped", "streams"),
        ("enumerate", "notify", "lock"),
        ("metadata", "volume", "control"),
        ("threads",),
    ],
    ids="-".join,
)
def test_everything_comes_out_as_it_does_without_it(unmeant, parts):
    assert [change for part in parts for change in unmeant(part)] == []


@pytest.mark.stack("pending@upper", "passthrough", "pending@lower")
@pytest.mark.parametrize("mechanism", ["deferred", "queue"])
def test_neighbours_that_pend_change_nothing(lab, unmeant, mechanism):
    """What one pends above is new to it in another thread; what one pends below comes back in another."""
    for major in PENDED:
        lab.upper.when(major).pend(mechanism, resume="with-callback")
        lab.lower.when(major).pend(mechanism, resume="with-callback")

    assert [change for part in ("noncached", "rename", "threads") for change in unmeant(part)] == []


@pytest.mark.stack("synchronize@upper", "passthrough", "fastio@lower")
def test_neighbours_that_synchronize_and_refuse_fast_io_change_nothing(lab, unmeant):
    lab.upper.when(None).synchronize()
    lab.lower.when(None).disallow_fastio()

    assert [change for part in ("cached", "enumerate") for change in unmeant(part)] == []
