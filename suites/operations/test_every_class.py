"""What holds of every class of operations, held for each: a failure names the classes that went another way."""

import pytest

from harness.minifilter.events import ContextCall, Phase
from harness.minifilter.operation_classes import (
    ALWAYS,
    EVERY_OPERATION,
    NAMES,
    OPERATIONS,
    WITH_A_BUFFER,
    WITHOUT_NOTICE,
    by_class,
    every_class,
    strays,
    unlike,
)
from harness.nt import (
    CallbackDataFlags,
    IrpMajor,
    Irql,
    NtStatus,
    PreopStatus,
)

UNTOUCHED = {"CREATE (IRP)", "CLEANUP (IRP)", "SET_SECURITY (IRP)"}
"""Those without which there are no others: fltprobe sets the security that it has queried."""
FILLED = b"\x5a" * 64
"""What a read reports of the file."""
SYSTEM_PROCESS = 4
NOT_SYNCHRONIZED = {
    "DIRECTORY_CONTROL (IRP, notify)",
    "READ (IRP, non-cached, overlapped)",
    "WRITE (IRP, non-cached, overlapped)",
    "LOCK_CONTROL (IRP, lock)",
}
"""What may wait without limit, and what nobody waits for."""
ENDS = ("CREATE", "CLEANUP", "CLOSE")
"""Without a create there is nothing else, and nothing may fail the others."""


def stack(*labels: str, contexts=None):
    """A stack whose minifilters are registered for all that comes, and the one in the middle for contexts."""
    marks = [pytest.mark.stack(*labels)]
    for label in labels:
        if label != "legacy":
            kinds = None if "@" in label else contexts
            marks.append(pytest.mark.driver_options(label.split("@")[-1], operations=OPERATIONS, contexts=kinds))
    return marks


def on(*labels: str):
    """Marks a test with one such stack."""

    def mark(test):
        for one in stack(*labels):
            test = one(test)
        return test

    return mark


def through(middle: str, contexts=None):
    """The stacks in which an operation goes through `middle`: alone, among filters that pend, above a legacy filter."""
    top, bottom = "observer@above", "observer@below"
    stacks = {
        "alone": (None, (top, middle, bottom)),
        "below-one-that-pends": ("high", (top, "pending@high", middle, bottom)),
        "above-one-that-pends": ("low", (top, middle, "pending@low", bottom)),
        "above-a-legacy-filter": (None, (top, middle, bottom, "legacy")),
    }
    return pytest.mark.parametrize(
        "pends",
        [
            pytest.param(pends, id=name, marks=stack(*labels, contexts=contexts))
            for name, (pends, labels) in stacks.items()
        ],
    )


def failed(io):
    """The steps that did not go well; the control code is one that no file system has to know."""
    return [step for step in io.steps if step.verb != "ioctl" and step.status not in (0, NtStatus.PENDING)]


def io_status(event):
    return event.status, event.information


def made(event):
    """What of an operation is the filter manager's alone."""
    return event.major, event.minor, event.operation_class, event.requestor_thread, event.requestor_mode


def pend_everything(lab, label):
    for name in NAMES if label else ():
        lab.filter(label).when(None, name=name).pend("generic", resume="with-callback")


@through("passthrough")
@pytest.mark.rule(
    "PRE-PASS-03", "PRE-PASS-06", "PRE-PASS-08", "PRE-CTL-01", "ORD-01", "ORD-02", "REG-01", "REG-05", "PRE-COMP-12",
    "PARM-04", "POST-GEN-01", "POST-GEN-03",
)  # fmt: skip
def test_every_class_goes_down_through_all_filters_and_back_up(lab, pends):
    pend_everything(lab, pends)
    for name in NAMES:
        lab.passthrough.when(None, name=name, paging=True).with_callback()

    io = lab.io(EVERY_OPERATION)

    way = ["above.pre", "passthrough.pre", "below.pre", "below.post", "passthrough.post", "above.post"]
    found = every_class(lab.trace)
    assert strays(found, ("above", "passthrough", "below"), way) == {}
    views = {kind: [(item.of("above"), item.of("below")) for item in operations] for kind, operations in found.items()}
    assert unlike(views, lambda view: io_status(view[0].pre) != io_status(view[1].pre)) == set()
    assert unlike(views, lambda view: io_status(view[0].post) != io_status(view[1].post)) == set()
    assert unlike(views, lambda view: made(view[0].pre) != made(view[1].pre)) == set()
    assert failed(io) == []
    assert {bytes(step.data) for step in io.all("read")} == {FILLED, b""}  # nothing where it is begun only


@pytest.mark.rule("PRE-PASS-01", "PRE-PASS-02", "PRE-PASS-06", "PRE-PASS-07")
@on("observer@above", "passthrough", "observer@below")
def test_no_callback_leaves_out_the_filters_own_post_in_every_class(lab):
    for name in NAMES:
        lab.passthrough.when(None, name=name, paging=True).no_callback()

    lab.io(EVERY_OPERATION)

    way = ["above.pre", "passthrough.pre", "below.pre", "below.post", "above.post"]
    found = every_class(lab.trace)
    assert strays(found, ("above", "passthrough", "below"), way) == {}
    own = {kind: [item.of("passthrough").pre for item in operations] for kind, operations in found.items()}
    answer = (PreopStatus.SUCCESS_NO_CALLBACK, 0)
    assert unlike(own, lambda pre: (pre.returned, pre.completion_context) != answer) == set()


@through("completion")
@pytest.mark.rule(
    "PRE-COMP-01", "PRE-COMP-02", "PRE-COMP-03", "PRE-COMP-04", "PRE-COMP-05", "PRE-COMP-06", "PRE-COMP-08",
    "POST-GEN-03",
)  # fmt: skip
def test_every_class_that_is_completed_goes_no_further_down(lab, pends):
    pend_everything(lab, pends)
    for name in NAMES:
        for operation in OPERATIONS:
            major = IrpMajor[operation.split()[0].replace("-", "_").upper()]
            if not major.name.startswith((*ENDS, "ACQUIRE", "RELEASE", "NETWORK")):
                lab.completion.when(major, name=name).complete(NtStatus.ACCESS_DENIED)

    lab.io(WITHOUT_NOTICE)

    found = every_class(lab.trace, without=["SET_SECURITY (IRP)"])  # fltprobe sets what it has queried
    stopped = {
        kind: operations
        for kind, operations in found.items()
        if not kind.startswith((*ENDS, "ACQUIRE", "RELEASE", "NETWORK")) and "paging" not in kind
    }
    assert strays(stopped, ("above", "completion", "below"), ["above.pre", "completion.pre", "above.post"]) == {}
    own = {kind: [item.of("completion").pre for item in operations] for kind, operations in stopped.items()}
    answer = (PreopStatus.COMPLETE, NtStatus.ACCESS_DENIED, 0, 0)
    assert (
        unlike(own, lambda pre: (pre.returned, pre.status, pre.information, pre.completion_context) != answer) == set()
    )
    ended = {kind: [item.of("above").post for item in operations] for kind, operations in stopped.items()}
    assert unlike(ended, lambda post: io_status(post) != (NtStatus.ACCESS_DENIED, 0)) == set()


@pytest.mark.rule(
    "PRE-PEND-01", "PRE-PEND-02", "PRE-PEND-03", "PRE-PEND-04", "PRE-PEND-11", "PRE-PEND-12", "PRE-PEND-15",
    "PRE-PEND-10", "PRE-CTL-03", "IRQL-04", "PEND-WI-01", "PEND-WI-07",
)  # fmt: skip
@pytest.mark.parametrize("mechanism", ["deferred", "generic", "queue", "thread"])
@on("observer@above", "pending", "observer@below")
def test_every_class_of_irps_is_pended_and_comes_back_once(lab, mechanism):
    for name in NAMES:
        race = mechanism == "generic"  # then the resume comes before the callback has returned
        lab.pending.when(None, name=name).pend(mechanism, resume="with-callback", race=race)

    io = lab.io(EVERY_OPERATION)

    pended = {
        kind: [item for item in operations if item.of("pending").pre.returned == PreopStatus.PENDING]
        for kind, operations in every_class(lab.trace).items()
    }
    way = ["above.pre", "pending.pre", "pending.resume", "below.pre", "below.post", "pending.post", "above.post"]
    assert strays(pended, ("above", "pending", "below"), way) == {}
    refused = {kind for kind, operations in pended.items() if not operations and "paging" not in kind}
    assert {kind for kind in refused if "(IRP" in kind} == set()
    assert {kind for kind, operations in pended.items() if operations and "(IRP" not in kind} == set()
    own = {kind: [item.of("pending") for item in operations] for kind, operations in pended.items()}
    assert unlike(own, lambda view: view.pre.completion_context) == set()
    assert unlike(pended, lambda item: item.of("below").pre.thread != item.of("pending").resume.thread) == set()
    assert unlike(own, lambda view: view.resume.process == view.pre.requestor_process) == set()
    assert failed(io) == []
    assert {bytes(step.data) for step in io.all("read")} == {FILLED, b""}
    routines = [event for event in lab.trace.events if event.phase is Phase.WORK_ROUTINE]
    assert routines
    assert {(event.irql, event.process) for event in routines} <= {(Irql.PASSIVE, SYSTEM_PROCESS)}


@pytest.mark.rule("PRE-SYNC-01", "PRE-SYNC-02", "PRE-SYNC-03", "PRE-SYNC-07", "PRE-SYNC-08")
@on("observer@above", "synchronize", "observer@below")
def test_every_class_that_is_synchronized_comes_back_to_its_thread(lab):
    for name in NAMES:
        lab.synchronize.when(None, name=name, paging=True).synchronize()

    lab.io(EVERY_OPERATION)

    found = {
        kind: [item.of("synchronize") for item in operations if "IRP" in kind]
        for kind, operations in every_class(lab.trace).items()
    }
    own = {
        kind: [view for view in views if view.pre.returned == PreopStatus.SYNCHRONIZE] for kind, views in found.items()
    }
    elsewhere = {kind for kind, views in own.items() for view in views if view.post.thread != view.pre.thread}
    too_high = {kind for kind, views in own.items() for view in views if view.post.irql > Irql.APC}
    assert (elsewhere, too_high) == (set(), set())
    synchronized = {kind for kind, views in own.items() if views}
    assert synchronized >= ALWAYS - NOT_SYNCHRONIZED - {"CREATE (IRP)"}
    assert synchronized & NOT_SYNCHRONIZED == set()


@pytest.mark.rule("PRE-FIO-01", "PRE-FIO-02", "PRE-FIO-03", "PRE-FIO-04", "PRE-FIO-05")
@on("observer@above", "fastio", "observer@below")
def test_every_class_of_fast_io_is_disallowed_and_comes_again_as_an_irp(lab):
    for name in NAMES:
        lab.fastio.when(None, name=name, paging=True).disallow_fastio()

    io = lab.io(EVERY_OPERATION)

    found = every_class(lab.trace)
    disallowed = {kind: [item.of("fastio").pre for item in operations] for kind, operations in found.items()}
    fast = {kind: operations for kind, operations in found.items() if "fast I/O" in kind}
    others = {kind: pres for kind, pres in disallowed.items() if kind not in fast}
    assert unlike(others, lambda pre: pre.returned == PreopStatus.DISALLOW_FASTIO) == set()
    lab.witness(bool(fast), "something came as fast I/O")
    assert strays(fast, ("above", "fastio", "below"), ["above.pre", "fastio.pre", "above.post"]) == {}
    own = {kind: [(item.of("fastio").pre, item.of("above").pre) for item in every] for kind, every in fast.items()}
    assert unlike(own, lambda pres: io_status(pres[0]) != io_status(pres[1])) == set()
    again = {kind: kind.replace("fast I/O", "IRP") for kind in fast if not kind.startswith("NETWORK")}
    irps = {kind.replace(", cached", "").replace(", non-cached", "") for kind in by_class(lab.trace)}
    assert {kind for kind, irp in again.items() if irp not in irps} == set()
    assert failed(io) == []


@through("passthrough", contexts=["stream-handle"])
@pytest.mark.rule("CTX-01", "CTX-02", "CTX-03")
def test_a_context_that_pre_fetches_is_there_in_the_post_of_every_class(lab, pends):
    pend_everything(lab, pends)
    for name in NAMES:
        lab.passthrough.when(IrpMajor.CREATE, name=name).with_callback(set_context="stream-handle")
        lab.passthrough.when(None, name=name).with_callback(pre_context="stream-handle", post_context="stream-handle")

    lab.io(EVERY_OPERATION)

    def called(operation, call):
        return [event for event in operation.of("passthrough").events if event.context_call is call]

    passed = {
        kind: [(fetched[0], called(item, ContextCall.USED_IN_POST), called(item, ContextCall.GET_IN_POST))
               for item in operations if (fetched := called(item, ContextCall.GET_IN_PRE)) and not fetched[0].returned]
        for kind, operations in every_class(lab.trace).items()
    }  # fmt: skip
    assert {kind for kind, every in passed.items() if every} >= ALWAYS - {"CREATE (IRP)"}
    used = {kind: [[event.completion_context for event in one[1]] for one in every] for kind, every in passed.items()}
    mine = {kind: [[fetched.completion_context] for fetched, _, _ in every] for kind, every in passed.items()}
    assert used == mine
    too_high = {kind for kind, every in passed.items() for _, _, own in every for event in own if event.irql > Irql.APC}
    others = {
        kind
        for kind, every in passed.items()
        for fetched, _, own in every
        for event in own
        if (event.returned, event.completion_context) != (NtStatus.SUCCESS, fetched.completion_context)
    }
    assert (too_high, others - {"CLOSE (IRP)"}) == (set(), set())  # with the close its handle's context goes


@through("passthrough")
@pytest.mark.rule("PARM-01", "PARM-02", "PARM-03")
def test_what_a_filter_changes_of_every_class_those_below_get_and_nobody_else(lab, pends):
    pend_everything(lab, pends)
    for name in NAMES:
        for major in (IrpMajor.READ, IrpMajor.WRITE):
            lab.passthrough.when(major, name=name).with_callback(offset=8192, length=512)
        for major in (IrpMajor.FILE_SYSTEM_CONTROL, IrpMajor.DEVICE_CONTROL):
            lab.passthrough.when(major, name=name).with_callback()
        lab.passthrough.when(None, name=name).with_callback(offset=8192, length=4)

    lab.io(EVERY_OPERATION)

    changed = {
        kind: [item for item in operations if item.of("passthrough").pre.flags & CallbackDataFlags.DIRTY]
        for kind, operations in every_class(lab.trace, without=UNTOUCHED).items()
    }
    assert {kind for kind, operations in changed.items() if operations} >= WITH_A_BUFFER
    above = {kind: {parameters(item, "above") for item in operations} for kind, operations in changed.items()}
    below = {kind: {parameters(item, "below") for item in operations} for kind, operations in changed.items()}
    assert {kind: every for kind, every in above.items() if any(pre != post for pre, post in every)} == {}
    assert {kind: every for kind, every in below.items() if any(pre != post for pre, post in every)} == {}
    assert {kind for kind, every in below.items() if every & above[kind]} == set()
    own = {kind: [item for item in operations if parameters(item, "passthrough")[1] != parameters(item, "above")[1]]
           for kind, operations in changed.items()}  # fmt: skip
    assert {kind for kind, strangers in own.items() if strangers} == set()


def parameters(operation, label):
    """What a minifilter was given in pre and in post: offset and length."""
    view = operation.of(label)
    return (view.pre.offset, view.pre.length), (view.post.offset, view.post.length)


@through("passthrough")
@pytest.mark.rule("BUF-01", "BUF-02", "BUF-03", "PARM-01")
def test_every_class_goes_as_well_with_a_swapped_buffer(lab, pends):
    pend_everything(lab, pends)
    for name in NAMES:
        lab.passthrough.when(None, name=name, paging=True).with_callback(swap=True)

    io = lab.io(EVERY_OPERATION)

    swapped = {
        kind
        for kind, operations in every_class(lab.trace).items()
        if any(item.of("passthrough").pre.flags & CallbackDataFlags.DIRTY for item in operations)
    }
    assert swapped >= WITH_A_BUFFER
    assert failed(io) == []
    assert {bytes(step.data) for step in io.steps if step.verb in ("read", "peek") and step.data} <= {
        b"\x5a" * 64,
        b"\x5a" * 16,
    }
    assert b"EVERY\0one" in bytes(io.step("query-ea", "f").data)
    assert io.step("directory", "d").names == [".", ".."]
