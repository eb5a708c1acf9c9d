"""Processes and threads."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql, NtStatus
from harness.reference.machine.loader.exports import I32, NTOSKRNL, U32, export
from harness.reference.machine.scheduler.requests import EndThread, KernelCode
from harness.reference.machine.scheduler.thread import Process, Thread
from harness.reference.windows.ntos.ke.apc_counts import ATTACHED
from harness.reference.windows.ntos.ke.offsets import EPROCESS, KTHREAD
from harness.reference.windows.ntos.ps.notify_routines import routines
from harness.reference.windows.ntos.ps.process_notify import thread_begins, thread_created, thread_ended
from harness.reference.windows.ntos.ps.process_objects import process_at, process_object, thread_at, thread_object
from harness.reference.windows.ntos.structures import OBJ_KERNEL_HANDLE, ClientId, ObjectAttributes

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(NTOSKRNL, "PsCreateSystemThread", max_irql=Irql.PASSIVE)
def ps_create_system_thread(
    k: "Kernel",
    handle_pointer: int,
    access: U32,
    attributes: int,
    process_handle: int,
    client_id: int,
    start: int,
    context: int,
) -> int | KernelCode:
    process = k.processes.system
    if process_handle:
        found = k.objects.lookup(process_handle)
        if found is None or not isinstance(found.object.body, Process):
            return int(NtStatus.INVALID_HANDLE)
        process = found.object.body
    image = k.images.at(start)
    name = f"{image.name} thread" if image is not None else "system thread"
    thread = k.spawn(_system_thread(k, start, context), name, process=process, start=start)
    thread.execution.behalf = k.blame.current().location or ""
    kernel_handle = process is k.processes.system or bool(
        attributes and ObjectAttributes(k.memory, attributes).attributes & OBJ_KERNEL_HANDLE
    )
    k.memory.write_u64(handle_pointer, k.objects.open(thread_object(k, thread), kernel=kernel_handle, access=access))
    if client_id:
        view = ClientId(k.memory, client_id)
        view.process, view.thread = process.id, thread.id
    return _tell(k, thread) if routines(k, "thread") else 0


def _tell(k: "Kernel", thread: Thread) -> KernelCode:
    yield from thread_created(k, thread)
    return 0


def _system_thread(k: "Kernel", start: int, context: int) -> KernelCode:
    yield from thread_begins(k)
    yield from k.kept.call(f"the routine of {k.current.describe()}", start, context)
    yield from thread_ended(k, k.current)
    return 0


@export(NTOSKRNL, "PsTerminateSystemThread", max_irql=Irql.PASSIVE)
def ps_terminate_system_thread(k: "Kernel", status: I32) -> KernelCode:
    if not k.current.system:
        k.bugcheck(
            BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION,
            message="PsTerminateSystemThread was called in a thread that is no system thread",
        )
    return _terminate(k, status)


def _terminate(k: "Kernel", status: int) -> KernelCode:
    yield from thread_ended(k, k.current)
    k.current.exit_status = status & 0xFFFF_FFFF
    yield EndThread(status)


@export(NTOSKRNL, "PsGetThreadId", max_irql=Irql.DISPATCH)
def ps_get_thread_id(k: "Kernel", thread: int) -> int:
    return thread_at(k, thread, "PsGetThreadId").id


@export(NTOSKRNL, "PsGetThreadProcessId", max_irql=Irql.DISPATCH)
def ps_get_thread_process_id(k: "Kernel", thread: int) -> int:
    return thread_at(k, thread, "PsGetThreadProcessId").process.id


@export(NTOSKRNL, "PsGetProcessId", max_irql=Irql.DISPATCH)
def ps_get_process_id(k: "Kernel", process: int) -> int:
    return process_at(k, process, "PsGetProcessId").id


@export(NTOSKRNL, "PsGetProcessImageFileName", max_irql=Irql.DISPATCH)
def ps_get_process_image_file_name(k: "Kernel", process: int) -> int:
    """A pointer to at most 14 characters and a NUL inside the EPROCESS."""
    return process_at(k, process, "PsGetProcessImageFileName").eprocess + EPROCESS.IMAGE_FILE_NAME


@export(NTOSKRNL, "PsIsSystemThread", "IoIsSystemThread", max_irql=Irql.DISPATCH)
def ps_is_system_thread(k: "Kernel", thread: int) -> bool:
    return thread_at(k, thread, "PsIsSystemThread").system


@export(NTOSKRNL, "PsIsThreadTerminating", max_irql=Irql.DISPATCH)
def ps_is_thread_terminating(k: "Kernel", thread: int) -> bool:
    return thread_at(k, thread, "PsIsThreadTerminating").ended


@export(NTOSKRNL, "PsLookupProcessByProcessId", max_irql=Irql.APC)
def ps_lookup_process_by_process_id(k: "Kernel", number: int, process_pointer: int) -> int:
    process = k.processes.by_id.get(number)
    if process is None or process is k.processes.idle:
        return int(NtStatus.INVALID_CID)
    k.objects.take(process_object(k, process))
    k.memory.write_u64(process_pointer, process.eprocess)
    return 0


@export(NTOSKRNL, "PsLookupThreadByThreadId", max_irql=Irql.APC)
def ps_lookup_thread_by_thread_id(k: "Kernel", number: int, thread_pointer: int) -> int:
    thread = k.processes.thread_by_id(number)
    if thread is None:
        return int(NtStatus.INVALID_CID)
    k.objects.take(thread_object(k, thread))
    k.memory.write_u64(thread_pointer, thread.kthread)
    return 0


@export(NTOSKRNL, "ExGetPreviousMode")
def ex_get_previous_mode(k: "Kernel") -> int:
    return k.memory.read_u8(k.current.kthread + KTHREAD.PREVIOUS_MODE)


@export(NTOSKRNL, "PsGetVersion")
def ps_get_version(k: "Kernel", major: int, minor: int, build: int, service_pack: int) -> bool:
    """Fills in what is asked for; the answer says that this is a free build."""
    for address, value in ((major, 10), (minor, 0), (build, 22631)):
        if address:
            k.memory.write_u32(address, value)
    if service_pack:
        k.memory.write_unicode_string(service_pack, 0, 0, 0)
    return False


@export(NTOSKRNL, "KeStackAttachProcess", max_irql=Irql.APC)
def ke_stack_attach_process(k: "Kernel", process: int, state: int) -> int:
    """There is one address space: attaching changes only what the current process is."""
    target = process_at(k, process, "KeStackAttachProcess")
    kthread = k.current.kthread
    k.memory.write_u64(state, k.memory.read_u64(kthread + KTHREAD.PROCESS))
    k.memory.write_u64(kthread + KTHREAD.PROCESS, target.eprocess)
    k.holdings.take(ATTACHED, k.current, f"to {target.name}")
    k.verifier.attached_to.add(target.eprocess)
    return 0


@export(NTOSKRNL, "KeUnstackDetachProcess", max_irql=Irql.APC)
def ke_unstack_detach_process(k: "Kernel", state: int) -> int:
    before = k.memory.read_u64(state)
    if before not in k.processes.by_eprocess or not k.holdings.give_back(ATTACHED, k.current):
        k.bugcheck(
            BugCheck.INVALID_PROCESS_DETACH_ATTEMPT,
            before,
            message="KeUnstackDetachProcess: this thread was not attached, or its KAPC_STATE is destroyed",
        )
    k.memory.write_u64(k.current.kthread + KTHREAD.PROCESS, before)
    return 0


@export(NTOSKRNL, "IoIs32bitProcess")
def io_is_32bit_process(k: "Kernel", irp: int) -> bool:
    del k, irp
    return False


@export(NTOSKRNL, "KeIsAttachedProcess", max_irql=Irql.DISPATCH)
def ke_is_attached_process(k: "Kernel") -> bool:
    return k.current.kthread in k.attached


@export(NTOSKRNL, "KeAttachProcess", max_irql=Irql.APC)
def ke_attach_process(k: "Kernel", process: int) -> int:
    """Once: a thread that is attached already is a bug check."""
    if k.current.kthread in k.attached:
        k.bugcheck(BugCheck.INVALID_PROCESS_ATTACH_ATTEMPT, process, message="KeAttachProcess by an attached thread")
    state = k.heap.allocate(0x30)
    k.attached[k.current.kthread] = state
    ke_stack_attach_process(k, process, state)
    return 0


@export(NTOSKRNL, "KeDetachProcess", max_irql=Irql.APC)
def ke_detach_process(k: "Kernel") -> int:
    state = k.attached.pop(k.current.kthread, 0)
    if state:
        ke_unstack_detach_process(k, state)
        k.heap.free(state)
    return 0
