"""Operations of every class that are under way below a filter when it goes: drained, or cancelled and awaited."""

import re

import pytest

from harness.minifilter.events import Phase
from harness.minifilter.operation_classes import (
    ALWAYS,
    NAMES,
    OPERATIONS,
    WITH_A_BUFFER,
    every_class,
    strays,
    unlike,
)
from harness.nt import CallbackDataFlags, IrpMajor, Irql, NtStatus, PostOperationFlags, PostopStatus

pytestmark = [
    pytest.mark.stack("observer@above", "passthrough", "pending@low", "observer@below"),
    pytest.mark.driver_options("above", operations=OPERATIONS),
    pytest.mark.driver_options("passthrough", operations=OPERATIONS),
    pytest.mark.driver_options("low", operations=OPERATIONS),
    pytest.mark.driver_options("below", operations=OPERATIONS),
]

UNDER_WAY = r"""
    open          f V:\every.bin access=rw,security,0x40000 options=noncached,overlapped
    open          g V:\every.bin access=read options=noncached
    open          h V:\every.bin access=write options=noncached
    open          d V:\every access=list options=directory,overlapped disposition=open-if
    spawn         waited-for read g offset=0 length=4096
    spawn         written write h offset=4096 length=4096 fill=0x5A
    read          f offset=0 length=4096 async=reading
    write         f offset=4096 length=4096 fill=0x5A async=writing
    fsctl         f code=0x9003C out=2 async=controlling
    spawn         querying query f class=internal
    spawn         setting set f class=basic value=0x80
    spawn         querying-ea query-ea f
    spawn         setting-ea set-ea f name=EVERY text=one
    spawn         securing query-security f information=7
    spawn         asking query-volume f class=size
    spawn         flushing flush f
    directory     d async=listing
    notify        d async=changed
    expect-held   low count=14
    detach        passthrough
    release       low
    expect-events below major=directory-control phase=pre count=2
    cancel        d
"""
"""Operations of every class that are under way below a filter when it goes."""
WAITS = "".join(
    f"    wait {spawned or begun}\n" for spawned, begun in re.findall(r"spawn +([\w-]+)|async=([\w-]+)", UNDER_WAY)
)
TO_THE_END = re.compile(r"    (expect-events|cancel) .*\n")
"""What is done with what goes on below."""

UNTOUCHED = {"CREATE (IRP)", "CLEANUP (IRP)", "SET_SECURITY (IRP)"}
"""Those without which there are no others: fltprobe sets the security that it has queried."""


@pytest.mark.rule("DRAIN-01", "DRAIN-02", "DRAIN-03")
def test_what_is_under_way_of_every_class_is_drained_when_its_filter_goes(lab):
    for name in NAMES:
        lab.passthrough.when(None, name=name).with_callback(context=0xD4A1)
        for major in (IrpMajor.CREATE, IrpMajor.CLEANUP, IrpMajor.CLOSE):
            lab.low.when(major, name=name).with_callback()
        lab.low.when(None, name=name).pend("thread", resume="with-callback", hold=True)

    io = lab.io(UNDER_WAY + WAITS)

    drained = {
        kind: [item for item in operations if item.path.count("low.resume")]
        for kind, operations in every_class(lab.trace, without=ALWAYS).items()
    }
    assert {kind for kind, operations in drained.items() if operations} == ALWAYS - UNTOUCHED
    way = ["above.pre", "passthrough.pre", "passthrough.post", "above.post"]
    assert strays(drained, ("above", "passthrough"), way) == {}
    posts = {kind: [item.of("passthrough").post for item in operations] for kind, operations in drained.items()}
    released = io.step("release", "low").begin
    late = {kind for kind, every in posts.items() for post in every if post.performance_count > released}
    undrained = {
        kind
        for kind, every in posts.items()
        for post in every
        if not post.post_flags & PostOperationFlags.DRAINING
        or post.irql > Irql.APC
        or post.completion_context != 0xD4A1
        or post.returned != PostopStatus.FINISHED_PROCESSING
    }
    assert (late, undrained) == (set(), set())


@pytest.mark.rule("DRAIN-04")
def test_what_has_a_swapped_buffer_of_every_class_is_cancelled_and_awaited_when_its_filter_goes(lab):
    for name in NAMES:
        lab.passthrough.when(None, name=name).with_callback(swap=True)
        for major in (IrpMajor.CREATE, IrpMajor.CLEANUP, IrpMajor.CLOSE):
            lab.low.when(major, name=name).with_callback()
        lab.low.when(None, name=name).pend("queue", resume="with-callback", hold=True)

    lab.io(TO_THE_END.sub("", UNDER_WAY) + WAITS)

    swapped = {
        kind: [item for item in operations if item.of("passthrough").pre.flags & CallbackDataFlags.DIRTY]
        for kind, operations in every_class(lab.trace, without=ALWAYS).items()
    }
    swapped = {kind: operations for kind, operations in swapped.items() if operations}
    assert set(swapped) >= WITH_A_BUFFER
    (gone,) = [event for event in lab.trace.events if event.phase is Phase.TEARDOWN_COMPLETE]
    posts = {kind: [item.of("passthrough").post for item in operations] for kind, operations in swapped.items()}
    assert unlike(posts, lambda post: post.post_flags & PostOperationFlags.DRAINING) == set()
    assert unlike(posts, lambda post: post.status != NtStatus.CANCELLED) == set()
    assert unlike(posts, lambda post: post.performance_count > gone.performance_count) == set()
    above = {kind: [item.of("above").post for item in operations] for kind, operations in swapped.items()}
    assert unlike(above, lambda post: post.status != NtStatus.CANCELLED) == set()
