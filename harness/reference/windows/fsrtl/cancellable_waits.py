"""Waits that end when the request that is waited for is cancelled, or the thread is terminated."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.ke.wait_arguments import dispatcher_at, timeout_at

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive


def wait_for(
    k: "Executive", addresses: Sequence[int], timeout_pointer: int, *, request: Request | None, every: bool
) -> Code:
    """Wait for dispatcher objects by address; the NTSTATUS of the wait, CANCELLED or THREAD_IS_TERMINATING."""
    objects = [dispatcher_at(k, address) for address in addresses]
    timeout = timeout_at(k, timeout_pointer)
    if request is not None and request.cancelled:
        return int(NtStatus.CANCELLED)
    cancelled = Event("the cancelling of a request")
    if request is not None and request.irp:

        def routine(_: Request) -> Code:
            yield from ()
            k.signal(cancelled)

        request.set_cancel_routine(routine)
    reason = "a cancellable wait"
    if every and len(objects) > 1:
        status = yield from _wait_for_all(objects, cancelled, timeout, reason)
    else:
        status = yield Wait([*objects, cancelled], timeout=timeout, reason=reason, user=True)
    if request is not None and request.irp:
        request.set_cancel_routine(None)
    if status == NtStatus.ALERTED:
        return int(NtStatus.THREAD_IS_TERMINATING)
    return int(NtStatus.CANCELLED) if status == len(objects) or cancelled.state else int(status)


def _wait_for_all(objects: Sequence[object], cancelled: Event, timeout: int | None, reason: str) -> Code:
    """One after the other, which for objects that stay signaled is the same as all at once."""
    for item in objects:
        status = yield Wait([item, cancelled], timeout=timeout, reason=reason, user=True)  # type: ignore[list-item]
        if status != 0:
            return len(objects) if status == 1 else status
    return 0
