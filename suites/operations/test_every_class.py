"""What holds of every class of operations, held for each: a failure names the classes that went another way."""

import pytest

from harness.minifilter.operation_classes import (
    ALWAYS,
    EVERY_OPERATION,
    NAMES,
    OPERATIONS,
    WITHOUT_NOTICE,
    by_class,
    strays,
)
from harness.nt import IrpMajor, Irql, NtStatus, OperationClass, PreopStatus

ENDS = ("CREATE", "CLEANUP", "CLOSE")
"""Without a create there is nothing else, and nothing may fail the others."""


def stack(*labels: str):
    """A stack whose minifilters are registered for all that comes."""
    all_of_it = [
        pytest.mark.driver_options(label.split("@")[-1], operations=OPERATIONS) for label in labels if label != "legacy"
    ]
    return [pytest.mark.stack(*labels), *all_of_it]


def on(*labels: str):
    """Marks a test with one such stack."""

    def mark(test):
        for one in stack(*labels):
            test = one(test)
        return test

    return mark


def through(middle: str):
    """The stacks in which an operation goes through `middle`: alone, among filters that pend, above a legacy filter."""
    return pytest.mark.parametrize(
        "pends",
        [
            pytest.param(None, id="alone", marks=stack("observer@above", middle, "observer@below")),
            pytest.param(
                "high",
                id="below-one-that-pends",
                marks=stack("observer@above", "pending@high", middle, "observer@below"),
            ),
            pytest.param(
                "low", id="above-one-that-pends", marks=stack("observer@above", middle, "pending@low", "observer@below")
            ),
            pytest.param(
                None, id="above-a-legacy-filter", marks=stack("observer@above", middle, "observer@below", "legacy")
            ),
        ],
    )


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("every.bin", length=65536, fill=0x5A)


def found_by(lab, without=()):
    """The operations by their class, the classes that come everywhere among them, but for what others lead to."""
    found = by_class(lab.trace)
    assert ALWAYS - set(found) - set(without) == set()
    return found


def pend_everything(lab, label):
    for name in NAMES if label else ():
        lab.filter(label).when(None, name=name).pend("generic", resume="with-callback")


@through("passthrough")
@pytest.mark.rule("PRE-PASS-03", "ORD-01", "ORD-02")
def test_every_class_goes_down_through_all_filters_and_back_up(lab, pends):
    pend_everything(lab, pends)
    for name in NAMES:
        lab.passthrough.when(None, name=name, paging=True).with_callback()

    lab.io(EVERY_OPERATION)

    way = ["above.pre", "passthrough.pre", "below.pre", "below.post", "passthrough.post", "above.post"]
    assert strays(found_by(lab), ("above", "passthrough", "below"), way) == {}


@pytest.mark.rule("PRE-PASS-01")
@on("observer@above", "passthrough", "observer@below")
def test_no_callback_leaves_out_the_filters_own_post_in_every_class(lab):
    for name in NAMES:
        lab.passthrough.when(None, name=name, paging=True).no_callback()

    lab.io(EVERY_OPERATION)

    way = ["above.pre", "passthrough.pre", "below.pre", "below.post", "above.post"]
    assert strays(found_by(lab), ("above", "passthrough", "below"), way) == {}


@through("completion")
@pytest.mark.rule("PRE-COMP-01", "PRE-COMP-03", "PRE-COMP-04")
def test_every_class_that_is_completed_goes_no_further_down(lab, pends):
    pend_everything(lab, pends)
    for name in NAMES:
        for operation in OPERATIONS:
            major = IrpMajor[operation.split()[0].replace("-", "_").upper()]
            if not major.name.startswith((*ENDS, "ACQUIRE", "RELEASE", "NETWORK")):
                lab.completion.when(major, name=name).complete(NtStatus.ACCESS_DENIED)

    lab.io(WITHOUT_NOTICE)

    found = found_by(lab, without=["SET_SECURITY (IRP)"])  # fltprobe sets what it has queried
    stopped = {
        kind: operations
        for kind, operations in found.items()
        if not kind.startswith((*ENDS, "ACQUIRE", "RELEASE", "NETWORK")) and "paging" not in kind
    }
    assert strays(stopped, ("above", "completion", "below"), ["above.pre", "completion.pre", "above.post"]) == {}
    ended = {kind: {item.of("above").post.status for item in operations} for kind, operations in stopped.items()}
    assert {kind: statuses for kind, statuses in ended.items() if statuses != {NtStatus.ACCESS_DENIED}} == {}


@pytest.mark.rule("PRE-PEND-01", "PRE-PEND-02", "PRE-CTL-03")
@pytest.mark.parametrize("mechanism", ["deferred", "generic", "queue", "thread"])
@on("observer@above", "pending", "observer@below")
def test_every_class_of_irps_is_pended_and_comes_back_once(lab, mechanism):
    for name in NAMES:
        lab.pending.when(None, name=name).pend(mechanism, resume="with-callback")

    lab.io(EVERY_OPERATION)

    pended = {
        kind: [item for item in operations if item.of("pending").pre.returned == PreopStatus.PENDING]
        for kind, operations in found_by(lab).items()
    }
    way = ["above.pre", "pending.pre", "pending.resume", "below.pre", "below.post", "pending.post", "above.post"]
    assert strays(pended, ("above", "pending", "below"), way) == {}
    refused = {kind for kind, operations in pended.items() if not operations and "paging" not in kind}
    assert {kind for kind in refused if "(IRP" in kind} == set()


@pytest.mark.rule("PRE-SYNC-01", "PRE-SYNC-02")
@on("observer@above", "synchronize", "observer@below")
def test_every_class_that_is_synchronized_comes_back_to_its_thread(lab):
    for name in NAMES:
        lab.synchronize.when(None, name=name, paging=True).synchronize()

    lab.io(EVERY_OPERATION)

    found = {
        kind: [item.of("synchronize") for item in operations if "IRP" in kind]
        for kind, operations in found_by(lab).items()
    }
    own = {
        kind: [view for view in views if view.pre.returned == PreopStatus.SYNCHRONIZE] for kind, views in found.items()
    }
    elsewhere = {kind for kind, views in own.items() for view in views if view.post.thread != view.pre.thread}
    too_high = {kind for kind, views in own.items() for view in views if view.post.irql > Irql.APC}
    assert (elsewhere, too_high) == (set(), set())
    assert {kind for kind, views in own.items() if views} >= ALWAYS - {
        "CREATE (IRP)",
        "DIRECTORY_CONTROL (IRP, notify)",
    }


@pytest.mark.rule("PRE-FIO-01", "PRE-FIO-02", "PRE-FIO-04")
@on("observer@above", "fastio", "observer@below")
def test_every_class_of_fast_io_is_disallowed_and_comes_again_as_an_irp(lab):
    for name in NAMES:
        lab.fastio.when(None, name=name, cls=OperationClass.FAST_IO).disallow_fastio()

    io = lab.io(EVERY_OPERATION)

    fast = {kind: operations for kind, operations in found_by(lab).items() if "fast I/O" in kind}
    lab.witness(bool(fast), "something came as fast I/O")
    assert strays(fast, ("above", "fastio", "below"), ["above.pre", "fastio.pre", "above.post"]) == {}
    again = {kind: kind.replace("fast I/O", "IRP") for kind in fast if not kind.startswith("NETWORK")}
    irps = {kind.replace(", cached", "").replace(", non-cached", "") for kind in by_class(lab.trace)}
    assert {kind for kind, irp in again.items() if irp not in irps} == set()
    failed = [step for step in io.steps if step.verb != "ioctl" and step.status not in (0, NtStatus.PENDING)]
    assert failed == []
