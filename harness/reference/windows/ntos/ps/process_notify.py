"""Telling drivers of processes, threads and images: the calls of their notify routines."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.machine.loader.images import Image
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.machine.scheduler.thread import Process, Thread
from harness.reference.windows.ntos.ps.notify_routines import call, routines

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive
    from harness.reference.windows.ntos.ob.objects import Object

_CREATE_INFO = Struct("<QIIQQQQQQII")
"""PS_CREATE_NOTIFY_INFO."""
_CREATION_STATUS = 0x40
_NAME_AVAILABLE = 1
_IMAGE_INFO_EX = Struct("<QIIQIIQIIQ")
"""IMAGE_INFO_EX; routines are given the IMAGE_INFO in it."""
_IMAGE_INFO = 8
_SYSTEM_MODE_IMAGE, _ADDRESSING_MODE_ANY, _EXTENDED_INFO_PRESENT = 0x100, 0x3, 0x400


def _string(k: "Executive", text: str) -> int:
    """A UNICODE_STRING with its characters behind it; to be freed in one piece."""
    data = text.encode("utf-16-le")
    at = k.heap.allocate(16 + len(data) + 2)
    k.memory.write(at + 16, data + b"\0\0")
    k.memory.write_unicode_string(at, at + 16, len(data), len(data) + 2)
    return at


def process_created(k: "Executive", process: Process) -> KernelCode:
    """Tell of a process that begins, in the thread that makes it; the NTSTATUS that a driver denies it with, or 0."""
    facts = k.processes.facts[process]
    for routine in routines(k, "process"):
        yield from call(k, routine, facts.parent, process.id, 1)
    denied, file = 0, facts.image_file.address if facts.image_file is not None else 0
    path, command_line = _string(k, rf"\??\{facts.dos_path}"), _string(k, facts.command_line)
    for routine in routines(k, "process-ex", "process-ex2"):
        info = k.heap.allocate(_CREATE_INFO.size)
        parent, creator = facts.parent, (k.current.process.id, k.current.id)
        packed = (_CREATE_INFO.size, _NAME_AVAILABLE, 0, parent, *creator, file, path, command_line, 0, 0)
        k.memory.write(info, _CREATE_INFO.pack(*packed))
        yield from call(k, routine, process.eprocess, process.id, info)
        status = k.memory.read_u32(info + _CREATION_STATUS)
        k.heap.free(info)
        if status >> 31 and not denied:
            denied = status
    k.heap.free(path)
    k.heap.free(command_line)
    return denied


def image_loaded(k: "Executive", image: Image, path: str, process: int, file: "Object | None" = None) -> KernelCode:
    """Tell of an image that has been mapped, in the process that it is mapped into; a driver's belongs to process 0.

    What lies on no volume of this machine has no file object, and no extended information then.
    """
    if not routines(k, "image"):
        return
    name = _string(k, path)
    properties = _ADDRESSING_MODE_ANY | (0 if process else _SYSTEM_MODE_IMAGE)
    properties |= _EXTENDED_INFO_PRESENT if file is not None else 0
    backing = file.address if file is not None else 0
    for routine in routines(k, "image"):
        info = k.heap.allocate(_IMAGE_INFO_EX.size)
        packed = (_IMAGE_INFO_EX.size, properties, 0, image.base, 0, 0, image.size, 0, 0, backing)
        k.memory.write(info, _IMAGE_INFO_EX.pack(*packed))
        yield from call(k, routine, name, process, info + _IMAGE_INFO)
        k.heap.free(info)
    k.heap.free(name)


def process_ended(k: "Executive", process: Process) -> KernelCode:
    """Tell of a process that ends, in its last thread."""
    for routine in routines(k, "process"):
        yield from call(k, routine, k.processes.facts[process].parent, process.id, 0)
    for routine in routines(k, "process-ex", "process-ex2"):
        yield from call(k, routine, process.eprocess, process.id, 0)


def thread_created(k: "Executive", thread: Thread) -> KernelCode:
    """Tell of a thread that is made, in the thread that makes it."""
    for routine in routines(k, "thread"):
        yield from call(k, routine, thread.process.id, thread.id, 1)


def thread_begins(k: "Executive") -> KernelCode:
    """Tell of the current thread, which begins: routines that were registered by PsSetCreateThreadNotifyRoutineEx."""
    for routine in routines(k, *_kinds_of(k.current)[1:]):
        yield from call(k, routine, k.current.process.id, k.current.id, 1)


def thread_ended(k: "Executive", thread: Thread) -> KernelCode:
    """Tell of a thread that ends, in it."""
    for routine in routines(k, *_kinds_of(thread)):
        yield from call(k, routine, thread.process.id, thread.id, 0)


def _kinds_of(thread: Thread) -> tuple[str, ...]:
    """The kinds of routines that hear of a thread, that of its maker first."""
    return ("thread", "thread-subsystems") if thread.system else ("thread", "thread-ex", "thread-subsystems")
