"""The objects of processes and threads, and who is at an address."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck
from harness.reference.machine.scheduler.thread import Process, Thread
from harness.reference.windows.ntos.ob.objects import Object

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive


def thread_object(k: "Executive", thread: Thread) -> Object:
    """The object of a thread, by which it is referenced."""
    return k.objects.at(thread.kthread) or k.objects.register(Object("Thread", thread, thread.kthread))


def process_object(k: "Executive", process: Process) -> Object:
    """The object of a process."""
    return k.objects.at(process.eprocess) or k.objects.register(Object("Process", process, process.eprocess))


def thread_at(k: "Executive", address: int, function: str) -> Thread:
    """The thread at a guest address; a bug check if there is none."""
    thread = k.processes.threads.get(address)
    if thread is None:
        k.bugcheck(
            BugCheck.PAGE_FAULT_IN_NONPAGED_AREA, address,
            message=f"{function} was given {k.describe_address(address)}, which is no thread",
        )  # fmt: skip
    return thread


def process_at(k: "Executive", address: int, function: str) -> Process:
    """The process at a guest address; a bug check if there is none."""
    process = k.processes.by_eprocess.get(address)
    if process is None:
        k.bugcheck(
            BugCheck.PAGE_FAULT_IN_NONPAGED_AREA, address,
            message=f"{function} was given {k.describe_address(address)}, which is no process",
        )  # fmt: skip
    return process
