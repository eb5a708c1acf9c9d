"""Notify routines: what drivers asked to be told of processes, threads and images."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.machine.loader.images import Image
from harness.reference.machine.scheduler.requests import Call
from harness.reference.machine.scheduler.thread import Process, Thread
from harness.reference.windows.io.request import Code
from harness.reference.windows.user.address_space import Peb

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

_CREATE_INFO = Struct("<QIIQQQQQQII")
"""PS_CREATE_NOTIFY_INFO."""
_IMAGE_INFO = Struct("<IIQIIQII")
"""IMAGE_INFO."""


def _routines(k: "Executive", kind: str) -> list[int]:
    return list(k.notify_routines.get(kind, ()))


def process_created(k: "Executive", process: Process, image: Image, peb: Peb) -> Code:
    """Tell of a process that begins, in its first thread, and of its image."""
    path, command_line = peb.address + Peb.IMAGE_PATH, peb.address + Peb.COMMAND_LINE
    for routine in _routines(k, "process"):
        yield Call(routine, k.processes.system.id, process.id, 1)
    for routine in _routines(k, "process-ex"):
        info = k.heap.allocate(_CREATE_INFO.size)
        parent = k.processes.system.id
        k.memory.write(info, _CREATE_INFO.pack(_CREATE_INFO.size, 0, 0, parent, parent, 0, 0, path, command_line, 0, 0))
        yield Call(routine, process.eprocess, process.id, info)
        k.heap.free(info)
    for routine in _routines(k, "image"):
        info = k.heap.allocate(_IMAGE_INFO.size)
        k.memory.write(info, _IMAGE_INFO.pack(0, 0, image.base, 0, 0, image.size, 0, 0))
        yield Call(routine, path, process.id, info)
        k.heap.free(info)


def process_ended(k: "Executive", process: Process) -> Code:
    """Tell of a process that ends, in its last thread."""
    for routine in _routines(k, "process"):
        yield Call(routine, k.processes.system.id, process.id, 0)
    for routine in _routines(k, "process-ex"):
        yield Call(routine, process.eprocess, process.id, 0)


def thread_created(k: "Executive", thread: Thread) -> Code:
    """Tell of a thread that begins, in it."""
    for routine in _routines(k, "thread"):
        yield Call(routine, thread.process.id, thread.id, 1)


def thread_ended(k: "Executive", thread: Thread) -> Code:
    """Tell of a thread that ends, in it."""
    for routine in _routines(k, "thread"):
        yield Call(routine, thread.process.id, thread.id, 0)
