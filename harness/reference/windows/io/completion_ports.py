"""I/O completion ports: a queue of packets that threads take from, and the handles whose requests end in one."""

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from harness.nt import NtStatus
from harness.reference.machine.scheduler.dispatcher import Dispatcher
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.ntos.executive import Executive

COMPLETION_TYPE = "IoCompletion"
"""Object type of a completion port."""
_SKIP_ON_SUCCESS = 1


@dataclass(frozen=True, slots=True)
class Packet:
    """What a thread is told: the key of the handle, the request's context, and its outcome."""

    key: int
    context: int
    status: int
    information: int


class CompletionPort(Dispatcher):
    """A completion port. A wait for it takes a packet, which `taken` hands to the thread."""

    name = "a packet on a completion port"

    def __init__(self, executive: "Executive") -> None:
        self._executive = executive
        self.packets: deque[Packet] = deque()
        self._taken: dict[Thread, Packet] = {}

    def signaled(self, thread: "Thread") -> bool:
        return bool(self.packets)

    def acquire(self, thread: "Thread") -> bool:
        self._taken[thread] = self.packets.popleft()
        return False

    def post(self, packet: Packet) -> None:
        """Queue a packet, and wake a thread that waits for one."""
        self.packets.append(packet)
        self._executive.signal(self)

    def taken(self, thread: "Thread") -> Packet:
        """The packet that the thread's wait has taken."""
        return self._taken.pop(thread)


@dataclass(frozen=True, slots=True)
class Association:
    """Which completion port the requests of a handle end in, with which key."""

    port: CompletionPort
    key: int
    skip_on_success: bool = False
    """FILE_SKIP_COMPLETION_PORT_ON_SUCCESS: none for a request that succeeded at once."""

    def post(self, context: int, status: int, information: int) -> None:
        """A request with a context (an OVERLAPPED, of Win32's) is over."""
        if context:
            self.port.post(Packet(self.key, context, status, information))

    def post_at_once(self, context: int, status: int, information: int) -> None:
        """A request was over before the call that made it."""
        if not self.skip_on_success:
            self.post(context, status, information)


@runtime_checkable
class Associable(Protocol):
    """What a handle leads to whose requests may end in a completion port."""

    association: Association | None


def completion_port_of(k: "Executive", handle: int) -> CompletionPort:
    """The completion port of a handle; raises the status of the refusal."""
    found = k.objects.lookup(handle)
    if found is None:
        raise StatusError(NtStatus.INVALID_HANDLE)
    if not isinstance(found.object.body, CompletionPort):
        raise StatusError(NtStatus.OBJECT_TYPE_MISMATCH)
    return found.object.body


def associate(k: "Executive", handle: int, port: int, key: int) -> int:
    """FileCompletionInformation: requests of a handle that is not synchronous end in a port; NTSTATUS."""
    body = _associable(k, handle)
    if getattr(body, "synchronous", False) or body.association is not None:
        return int(NtStatus.INVALID_PARAMETER)
    body.association = Association(completion_port_of(k, port), key)
    return int(NtStatus.SUCCESS)


def notify_modes(k: "Executive", handle: int, flags: int) -> int:
    """FileIoCompletionNotificationInformation; NTSTATUS."""
    body = _associable(k, handle)
    if body.association is not None:
        body.association = replace(body.association, skip_on_success=bool(flags & _SKIP_ON_SUCCESS))
    return int(NtStatus.SUCCESS)


def _associable(k: "Executive", handle: int) -> Associable:
    found = k.objects.lookup(handle)
    if found is None:
        raise StatusError(NtStatus.INVALID_HANDLE)
    if not isinstance(found.object.body, Associable):
        raise StatusError(NtStatus.OBJECT_TYPE_MISMATCH)
    return found.object.body
