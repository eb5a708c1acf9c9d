"""Semaphores and mutants, as programs ask for them, with and without names."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import I32, U8, U32
from harness.reference.machine.scheduler.dispatcher import Dispatcher
from harness.reference.windows.io.system_services import service
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.ntos.status_error import StatusError
from harness.reference.windows.ntos.structures import OBJ_OPENIF, ObjectAttributes

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.kernel import Kernel

_SEMAPHORE, _MUTANT = "Semaphore", "Mutant"


class Semaphore(Dispatcher):
    """A semaphore of a program."""

    def __init__(self, count: int, limit: int) -> None:
        self.name = "a semaphore"
        self.count = count
        self.limit = limit

    def signaled(self, thread: "Thread") -> bool:
        return self.count > 0

    def acquire(self, thread: "Thread") -> bool:
        self.count -= 1
        return False


class Mutant(Dispatcher):
    """A mutex of a program."""

    def __init__(self, owner: "Thread | None") -> None:
        self.name = "a mutex"
        self.owner = owner
        self.depth = int(owner is not None)

    def signaled(self, thread: "Thread") -> bool:
        return self.owner in (None, thread) or self.owner.ended

    def acquire(self, thread: "Thread") -> bool:
        abandoned = self.owner is not None and self.owner is not thread
        self.depth = self.depth + 1 if self.owner is thread else 1
        self.owner = thread
        return abandoned


def _create(
    k: "Kernel", mode: int, out: int, access: int, attributes: int, kind: str, make: Callable[[], object]
) -> int:
    """A new object, or the one that has the name already."""
    view = ObjectAttributes(k.memory, attributes) if attributes else None
    name = k.memory.read_unicode_string(view.object_name) if view is not None and view.object_name else ""
    known = k.namespace.find(name) if name.startswith("\\") else None
    if isinstance(known, Object):
        if known.type != kind:
            return int(NtStatus.OBJECT_TYPE_MISMATCH)
        if view is None or not view.attributes & OBJ_OPENIF:
            return int(NtStatus.OBJECT_NAME_COLLISION)
        k.memory.write_u64(out, k.objects.open(known, kernel=mode == 0, access=access))
        return int(NtStatus.OBJECT_NAME_EXISTS)
    item = Object(kind, make(), references=0)
    if name:
        if not k.namespace.insert(name, item):
            return int(NtStatus.OBJECT_PATH_NOT_FOUND)

        def forget(_: Object) -> None:
            k.namespace.remove(name)

        item.on_close = forget
    k.memory.write_u64(out, k.objects.open(item, kernel=mode == 0, access=access))
    return int(NtStatus.SUCCESS)


def _body(k: "Kernel", handle: int) -> object:
    found = k.objects.lookup(handle)
    if found is None:
        raise StatusError(NtStatus.INVALID_HANDLE)
    return found.object.body


@service("CreateSemaphore")
def create_semaphore(k: "Kernel", mode: int, out: int, access: U32, attributes: int, count: I32, limit: I32) -> int:
    """NtCreateSemaphore."""
    if limit <= 0 or not 0 <= count <= limit:
        return int(NtStatus.INVALID_PARAMETER)
    return _create(k, mode, out, access, attributes, _SEMAPHORE, lambda: Semaphore(count, limit))


@service("ReleaseSemaphore")
def release_semaphore(k: "Kernel", mode: int, handle: int, count: I32, previous: int) -> int:
    """NtReleaseSemaphore."""
    del mode
    body = _body(k, handle)
    if not isinstance(body, Semaphore):
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    if count <= 0 or body.count + count > body.limit:
        return int(NtStatus.SEMAPHORE_LIMIT_EXCEEDED if count > 0 else NtStatus.INVALID_PARAMETER)
    if previous:
        k.memory.write_u32(previous, body.count)
    body.count += count
    k.signal(body)
    return int(NtStatus.SUCCESS)


@service("CreateMutant")
def create_mutant(k: "Kernel", mode: int, out: int, access: U32, attributes: int, owned: U8) -> int:
    """NtCreateMutant."""
    return _create(k, mode, out, access, attributes, _MUTANT, lambda: Mutant(k.current if owned else None))


@service("ReleaseMutant")
def release_mutant(k: "Kernel", mode: int, handle: int, previous: int) -> int:
    """NtReleaseMutant."""
    del mode
    body = _body(k, handle)
    if not isinstance(body, Mutant):
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    if body.owner is not k.current:
        return int(NtStatus.MUTANT_NOT_OWNED)
    if previous:
        k.memory.write_u32(previous, (1 - body.depth) & 0xFFFF_FFFF)
    body.depth -= 1
    if not body.depth:
        body.owner = None
        k.signal(body)
    return int(NtStatus.SUCCESS)
