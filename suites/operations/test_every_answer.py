"""What a filter answers and is handed in every class of operations: contexts, resumes, posts that fail or pend."""

import pytest

from harness.minifilter.operation_classes import (
    ALWAYS,
    EVERY_OPERATION,
    NAMES,
    OPERATIONS,
    WITHOUT_NOTICE,
    by_class,
    every_class,
    strays,
    unlike,
)
from harness.nt import IrpMajor, Irql, NtStatus, OperationClass, PostopStatus, PreopStatus

CONTEXT = 0xC0117E47
ENDS = ("CREATE", "CLEANUP", "CLOSE", "ACQUIRE", "RELEASE", "NETWORK")
"""Without a create there is nothing else, and what ends something must not fail."""
IRPS = [
    major
    for operation in OPERATIONS
    if not (major := IrpMajor[operation.split()[0].replace("-", "_").upper()]).name.startswith(ENDS)
]
"""The majors that may be failed."""
GIVEN = {
    "no-callback": (PreopStatus.SUCCESS_NO_CALLBACK, Irql.APC),
    "with-callback": (PreopStatus.SUCCESS_WITH_CALLBACK, Irql.APC),
    "complete": (PreopStatus.COMPLETE, Irql.DISPATCH),
}
"""What FltCompletePendedPreOperation is given, and up to which IRQL."""
WITH_IO_STATUS = (
    "read", "write", "query", "set", "lock", "fsctl", "ioctl", "set-ea", "query-ea", "query-volume",
    "directory",
)  # fmt: skip
"""The steps that report the whole of an IO_STATUS_BLOCK."""
LED_TO = {"SET_SECURITY (IRP)"}
"""What does not come where others fail: fltprobe sets the security that it has queried."""


def registered(*labels):
    """Marks a test with one stack whose minifilters are registered for all that comes."""

    def mark(test):
        test = pytest.mark.stack(*labels)(test)
        for label in labels:
            test = pytest.mark.driver_options(label.rpartition("@")[2], operations=OPERATIONS)(test)
        return test

    return mark


def own_views(found, label, returned):
    """What one minifilter saw of those operations whose preoperation callback answered so."""
    views = {kind: [item.of(label) for item in operations] for kind, operations in found.items()}
    return {
        kind: [view for view in every if any(e.is_pre and e.returned == returned for e in view.events)]
        for kind, every in views.items()
    }


@registered("observer@above", "passthrough", "observer@below")
@pytest.mark.rule("PRE-PASS-04", "IRQL-01", "IRQL-02", "IRQL-03", "IRQL-05", "IRQL-07", "PRE-FIO-06", "REG-06")
def test_the_post_of_every_class_gets_the_context_of_its_pre_at_the_irql_of_its_class(lab):
    for name in NAMES:
        lab.passthrough.when(None, name=name, paging=True).with_callback(context=CONTEXT)

    lab.io(EVERY_OPERATION)

    found = every_class(lab.trace)
    own = own_views(found, "passthrough", PreopStatus.SUCCESS_WITH_CALLBACK)
    assert {kind for kind, views in own.items() if not views} == set()
    assert unlike(own, lambda view: view.post.completion_context != CONTEXT) == set()
    assert unlike(own, lambda view: view.pre.irql > Irql.APC or view.post.irql > Irql.DISPATCH) == set()
    usual = {kind: [view.pre for view in views] for kind, views in own.items() if kind in ALWAYS}
    assert unlike(usual, lambda pre: pre.irql != Irql.PASSIVE or pre.thread != pre.requestor_thread) == set()
    others = {kind: views for kind, views in own.items() if "(IRP" not in kind}
    assert unlike(others, lambda view: view.pre.irql > Irql.PASSIVE) == set()
    fast = {kind: views for kind, views in own.items() if "fast I/O" in kind}
    assert unlike(fast, lambda view: view.post.thread != view.pre.thread or view.post.irql > Irql.APC) == set()
    classes = {kind: {item.operation_class for item in operations} for kind, operations in found.items()}
    assert {kind for kind, every in classes.items() if len(every) != 1 or None in every} == set()


@registered("observer@above", "synchronize", "observer@below")
@pytest.mark.rule("PRE-SYNC-05")
def test_what_is_no_irp_of_every_class_that_is_synchronized_gets_its_post(lab):
    for name in NAMES:
        for kind in (OperationClass.FAST_IO, OperationClass.FS_FILTER):
            lab.synchronize.when(None, name=name, cls=kind).synchronize(context=CONTEXT)

    lab.io(EVERY_OPERATION)

    own = {
        kind: views
        for kind, views in own_views(every_class(lab.trace), "synchronize", PreopStatus.SYNCHRONIZE).items()
        if views
    }
    lab.witness(bool(own), "something came as fast I/O or as an FSFilter operation")
    assert unlike(own, lambda view: view.post.completion_context != CONTEXT) == set()


@pytest.mark.parametrize("resume", ["no-callback", "with-callback", "complete"])
@pytest.mark.rule(
    "PRE-PEND-05", "PRE-PEND-06", "PRE-PEND-07", "PRE-PEND-08", "PRE-PEND-09", "PRE-COMP-10", "POST-GEN-03", "IRQL-08",
)  # fmt: skip
@registered("observer@above", "pending", "observer@below")
def test_every_class_of_irps_goes_on_as_its_resume_says(lab, resume):
    completes = resume == "complete"
    more = {"status": NtStatus.ACCESS_DENIED} if completes else {}
    if resume == "with-callback":
        more["context"] = CONTEXT
    for name in NAMES:
        for major in IRPS if completes else (None,):
            lab.pending.when(major, name=name).pend("thread", resume=resume, **more)

    lab.io(WITHOUT_NOTICE if completes else EVERY_OPERATION)

    found = by_class(lab.trace)
    pended = {
        kind: [item for item in operations if item.of("pending").pre.returned == PreopStatus.PENDING]
        for kind, operations in found.items()
        if "(IRP" in kind and "paging" not in kind
    }
    below = {
        "no-callback": ["below.pre", "below.post"],
        "with-callback": ["below.pre", "below.post", "pending.post"],
        "complete": [],
    }[resume]
    way = ["above.pre", "pending.pre", "pending.resume", *below, "above.post"]
    assert strays(pended, ("above", "pending", "below"), way) == {}
    came = {kind for kind, operations in pended.items() if operations}
    assert came >= {kind for kind in ALWAYS - LED_TO if not completes or not kind.startswith(ENDS)}
    resumes = {kind: [item.of("pending").resume for item in operations] for kind, operations in pended.items()}
    given, highest = GIVEN[resume]
    context = CONTEXT if resume == "with-callback" else 0
    assert unlike(resumes, lambda event: (event.returned, event.completion_context) != (given, context)) == set()
    assert unlike(resumes, lambda event: event.irql > highest) == set()
    if resume == "with-callback":
        posts = {kind: [item.of("pending") for item in operations] for kind, operations in pended.items()}
        assert unlike(posts, lambda view: view.post.completion_context != CONTEXT) == set()
    if completes:
        ended = {kind: [item.of("above") for item in operations] for kind, operations in pended.items()}
        answer = (NtStatus.ACCESS_DENIED, 0)
        assert unlike(ended, lambda view: (view.post.status, view.post.information) != answer) == set()


@registered("observer@above", "completion", "observer@below")
@pytest.mark.rule("PRE-COMP-11", "PRE-COMP-02", "POST-GEN-03")
def test_every_class_that_is_completed_ends_with_the_status_and_the_information_of_its_filter(lab):
    for name in NAMES:
        for major in IRPS:
            lab.completion.when(major, name=name).complete(NtStatus.SUCCESS, information=2)

    io = lab.io(WITHOUT_NOTICE)

    ended = {
        kind: operations
        for kind, operations in every_class(lab.trace).items()
        if not kind.startswith(ENDS) and "paging" not in kind
    }
    own = {kind: [item.of("completion").pre for item in operations] for kind, operations in ended.items()}
    above = {kind: [item.of("above").post for item in operations] for kind, operations in ended.items()}
    answer = (NtStatus.SUCCESS, 2)
    assert unlike(own, lambda pre: (pre.status, pre.information) != answer) == set()
    assert unlike(above, lambda post: (post.status, post.information) != answer) == set()
    steps = [step for step in io.steps if step.verb in WITH_IO_STATUS and step.status != NtStatus.PENDING]
    assert {step.verb for step in steps} == set(WITH_IO_STATUS)
    assert {step.verb for step in steps if (step.status, step.information) != answer} == set()


@registered("observer@above", "passthrough", "observer@below")
@pytest.mark.rule("POST-FAIL-01")
def test_a_post_may_fail_what_has_gone_well_in_every_class(lab):
    for name in NAMES:
        for major in IRPS:
            lab.passthrough.when(major, name=name).with_callback(post_status=NtStatus.ACCESS_DENIED)

    lab.io(WITHOUT_NOTICE)

    failed = {
        kind: [item for item in operations if not item.of("below").post.status]
        for kind, operations in every_class(lab.trace, without=LED_TO).items()
        if not kind.startswith(ENDS) and "paging" not in kind
    }
    assert {kind for kind, operations in failed.items() if operations} >= {
        kind for kind in ALWAYS - LED_TO if not kind.startswith(ENDS)
    }
    above = {kind: [item.of("above") for item in operations] for kind, operations in failed.items()}
    answer = (NtStatus.ACCESS_DENIED, 0)
    assert unlike(above, lambda view: (view.post.status, view.post.information) != answer) == set()


@registered("observer@above", "pending", "observer@below")
@pytest.mark.rule("POST-PEND-01", "POST-PEND-02", "POST-PEND-03", "POST-GEN-02")
def test_the_completion_of_every_class_of_irps_is_pended_and_goes_on_once(lab):
    for name in NAMES:
        lab.pending.when(None, name=name).with_callback(post="pend", post_mechanism="thread")

    io = lab.io(EVERY_OPERATION)

    found = every_class(lab.trace)
    frozen = {
        kind: [
            item
            for item in operations
            if any(e.is_post and e.returned == PostopStatus.MORE_PROCESSING_REQUIRED for e in item.of("pending").events)
        ]
        for kind, operations in found.items()
    }
    assert {kind for kind, operations in frozen.items() if operations} >= ALWAYS - {"CREATE (IRP)"}
    assert {kind for kind, operations in frozen.items() if operations and "(IRP" not in kind} == set()
    way = ["above.pre", "pending.pre", "below.pre", "below.post", "pending.post", "pending.resume-post", "above.post"]
    assert strays(frozen, ("above", "pending", "below"), way) == {}
    assert {
        step.verb for step in io.steps if step.verb != "ioctl" and step.status not in (0, NtStatus.PENDING)
    } == set()


@registered("observer@above", "pending", "observer@below")
@pytest.mark.rule("POST-SAFE-01", "POST-SAFE-02", "POST-SAFE-03", "POST-SAFE-04")
def test_the_safe_callback_of_every_class_of_irps_runs_where_it_is_safe_and_of_no_other(lab):
    for name in NAMES:
        lab.pending.when(None, name=name, paging=True).with_callback(post="when-safe")

    lab.io(EVERY_OPERATION)

    found = every_class(lab.trace)
    safe = {
        kind: [item.of("pending") for item in operations if "pending.safe-post" in item.path]
        for kind, operations in found.items()
    }
    assert {kind for kind, views in safe.items() if views} >= {
        kind for kind in ALWAYS if not kind.startswith(("READ", "WRITE"))
    }
    assert {kind for kind, views in safe.items() if views and "(IRP" not in kind} == set()
    left_out = {
        kind: [item.of("pending").post for item in operations if "pending.safe-post" not in item.path]
        for kind, operations in found.items()
        if "(IRP" in kind
    }
    assert unlike(left_out, lambda post: post.irql < Irql.DISPATCH or post.detail) == set()  # it answered FALSE
    assert unlike(safe, lambda view: view.safe_post.irql > Irql.APC) == set()
    low = {kind: [view for view in views if view.post.irql < Irql.DISPATCH] for kind, views in safe.items()}
    assert unlike(low, lambda view: view.safe_post.thread != view.post.thread) == set()
    high = {
        kind: [item for item in operations if item.of("pending").post.irql == Irql.DISPATCH]
        for kind, operations in found.items()
        if "paging" in kind
    }
    assert unlike(high, lambda item: item.of("pending").post.detail or "pending.safe-post" in item.path) == set()
    assert unlike(found, lambda item: item.path.count("above.post") != 1) == set()


def only(callback):
    """The case of a filter in the middle that is registered for one callback of the two."""
    operations = [f"{operation.split()[0]} {callback}" for operation in OPERATIONS]
    return pytest.param(callback, marks=pytest.mark.driver_options("passthrough", operations=operations), id=callback)


@pytest.mark.parametrize("callback", [only("pre"), only("post")])
@pytest.mark.stack("observer@above", "passthrough", "observer@below")
@pytest.mark.driver_options("above", operations=OPERATIONS)
@pytest.mark.driver_options("below", operations=OPERATIONS)
@pytest.mark.rule("REG-03", "REG-04", "PRE-PASS-05")
def test_one_callback_of_the_two_is_enough_in_every_class(lab, callback):
    for name in NAMES:
        lab.passthrough.when(None, name=name, paging=True).with_callback()

    lab.io(EVERY_OPERATION)

    found = every_class(lab.trace)
    way = ["above.pre", "passthrough.pre", "below.pre", "below.post", "passthrough.post", "above.post"]
    way.remove(f"passthrough.{'post' if callback == 'pre' else 'pre'}")
    assert strays(found, ("above", "passthrough", "below"), way) == {}
    if callback == "pre":
        own = {kind: [item.of("passthrough").pre for item in operations] for kind, operations in found.items()}
        assert unlike(own, lambda pre: pre.returned != PreopStatus.SUCCESS_NO_CALLBACK) == set()


@pytest.mark.stack("observer@above", "passthrough", "observer@below")
@pytest.mark.driver_options("above", operations=OPERATIONS)
@pytest.mark.driver_options("passthrough", operations=["create pre post"])
@pytest.mark.driver_options("below", operations=OPERATIONS)
@pytest.mark.rule("REG-02")
def test_what_a_filter_has_not_registered_for_passes_it_by_in_every_class(lab):
    lab.io(EVERY_OPERATION)

    found = every_class(lab.trace)
    others = {kind: operations for kind, operations in found.items() if kind != "CREATE (IRP)"}
    way = ["above.pre", "below.pre", "below.post", "above.post"]
    assert strays(others, ("above", "passthrough", "below"), way) == {}
