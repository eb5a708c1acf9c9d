"""Telling drivers of processes, threads and images: the calls of their notify routines."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.machine.loader.images import Image
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.machine.scheduler.thread import Process, Thread
from harness.reference.windows.ntos.ps.notify_routines import call, routines

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

_CREATE_INFO = Struct("<QIIQQQQQQII")
"""PS_CREATE_NOTIFY_INFO."""
_CREATION_STATUS = 0x40
_NAME_AVAILABLE = 1
_IMAGE_INFO = Struct("<IIQIIQII")
"""IMAGE_INFO."""
_SYSTEM_MODE_IMAGE, _ADDRESSING_MODE_ANY = 0x100, 0x3


def _string(k: "Executive", text: str) -> int:
    """A UNICODE_STRING with its characters behind it; to be freed in one piece."""
    data = text.encode("utf-16-le")
    at = k.heap.allocate(16 + len(data) + 2)
    k.memory.write(at + 16, data + b"\0\0")
    k.memory.write_unicode_string(at, at + 16, len(data), len(data) + 2)
    return at


def process_created(k: "Executive", process: Process, image: Image) -> KernelCode:
    """Tell of a process that begins, in its first thread; the NTSTATUS that a driver denies it with, or 0."""
    facts = k.processes.facts[process]
    for routine in routines(k, "process"):
        yield from call(k, routine, facts.parent, process.id, 1)
    denied = 0
    path, command_line = _string(k, rf"\??\{facts.dos_path}"), _string(k, facts.command_line)
    for routine in routines(k, "process-ex", "process-ex2"):
        info = k.heap.allocate(_CREATE_INFO.size)
        first = k.current.id
        packed = (_CREATE_INFO.size, _NAME_AVAILABLE, 0, facts.parent, facts.parent, first, 0, path, command_line, 0, 0)
        k.memory.write(info, _CREATE_INFO.pack(*packed))
        yield from call(k, routine, process.eprocess, process.id, info)
        status = k.memory.read_u32(info + _CREATION_STATUS)
        k.heap.free(info)
        if status >> 31 and not denied:
            denied = status
    k.heap.free(path)
    k.heap.free(command_line)
    if not denied:
        yield from image_loaded(k, image, facts.nt_path, process.id)
    return denied


def image_loaded(k: "Executive", image: Image, path: str, process: int) -> KernelCode:
    """Tell of an image that has been mapped; a driver's belongs to process 0."""
    if not routines(k, "image"):
        return
    name = _string(k, path)
    properties = _ADDRESSING_MODE_ANY | (0 if process else _SYSTEM_MODE_IMAGE)
    for routine in routines(k, "image"):
        info = k.heap.allocate(_IMAGE_INFO.size)
        k.memory.write(info, _IMAGE_INFO.pack(properties, 0, image.base, 0, 0, image.size, 0, 0))
        yield from call(k, routine, name, process, info)
        k.heap.free(info)
    k.heap.free(name)


def process_ended(k: "Executive", process: Process) -> KernelCode:
    """Tell of a process that ends, in its last thread."""
    for routine in routines(k, "process"):
        yield from call(k, routine, k.processes.facts[process].parent, process.id, 0)
    for routine in routines(k, "process-ex", "process-ex2"):
        yield from call(k, routine, process.eprocess, process.id, 0)


def thread_created(k: "Executive", thread: Thread) -> KernelCode:
    """Tell of a thread that begins, in it."""
    for routine in routines(k, "thread", "thread-ex"):
        yield from call(k, routine, thread.process.id, thread.id, 1)


def thread_ended(k: "Executive", thread: Thread) -> KernelCode:
    """Tell of a thread that ends, in it."""
    for routine in routines(k, "thread", "thread-ex"):
        yield from call(k, routine, thread.process.id, thread.id, 0)
