"""What drivers ask of a process or a thread that they have a pointer to."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, export
from harness.reference.windows.ntos.ke.offsets import KTHREAD
from harness.reference.windows.ntos.ke.shared_data import BOOT_TIME
from harness.reference.windows.ntos.ps.process_objects import process_at, process_object, thread_at, thread_object

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel
    from harness.reference.windows.ntos.ps.process_table import ProcessFacts


def _facts(k: "Kernel", process: int, function: str) -> "ProcessFacts":
    return k.processes.facts[process_at(k, process, function)]


@export(NTOSKRNL, "SeLocateProcessImageName", max_irql=Irql.PASSIVE)
def se_locate_process_image_name(k: "Kernel", process: int, name: int) -> int:
    """A UNICODE_STRING in a block of pool that the caller frees; empty for the System process."""
    data = _facts(k, process, "SeLocateProcessImageName").nt_path.encode("utf-16-le")
    where = k.blame.current()
    block = k.pool.allocate(16 + len(data) + 2, "SeIn", paged=True, owner=where.driver, allocated_by=where.address)
    k.memory.write(block + 16, data + b"\0\0")
    k.memory.write_unicode_string(block, block + 16 if data else 0, len(data), len(data) + 2 if data else 0)
    k.memory.write_u64(name, block)
    return 0


@export(NTOSKRNL, "PsReferenceProcessFilePointer", max_irql=Irql.PASSIVE)
def ps_reference_process_file_pointer(k: "Kernel", process: int, file: int) -> int:
    """The file object of the image, referenced for the caller; UNSUCCESSFUL where there is none, as for System."""
    facts = _facts(k, process, "PsReferenceProcessFilePointer")
    if facts.image_file is None:
        return int(NtStatus.UNSUCCESSFUL if facts.ended is None else NtStatus.PROCESS_IS_TERMINATING)
    k.objects.take(facts.image_file)
    k.memory.write_u64(file, facts.image_file.address)
    return 0


@export(NTOSKRNL, "PsGetProcessExitStatus", max_irql=Irql.DISPATCH)
def ps_get_process_exit_status(k: "Kernel", process: int) -> int:
    status = _facts(k, process, "PsGetProcessExitStatus").exit_status
    return int(NtStatus.PENDING) if status is None else status


@export(NTOSKRNL, "PsGetProcessExitProcessCalled", max_irql=Irql.DISPATCH)
def ps_get_process_exit_process_called(k: "Kernel", process: int) -> bool:
    return _facts(k, process, "PsGetProcessExitProcessCalled").exit_status is not None


@export(NTOSKRNL, "PsGetProcessExitTime", max_irql=Irql.DISPATCH)
def ps_get_process_exit_time(k: "Kernel") -> int:
    ended = k.processes.facts[k.current.process].ended
    return 0 if ended is None else BOOT_TIME + ended


@export(NTOSKRNL, "PsGetProcessCreateTimeQuadPart", max_irql=Irql.DISPATCH)
def ps_get_process_create_time_quad_part(k: "Kernel", process: int) -> int:
    return BOOT_TIME + _facts(k, process, "PsGetProcessCreateTimeQuadPart").created


@export(NTOSKRNL, "PsGetProcessStartKey", max_irql=Irql.DISPATCH)
def ps_get_process_start_key(k: "Kernel", process: int) -> int:
    """Never given twice between two boots: process ids are not used again here."""
    return 1 << 48 | process_at(k, process, "PsGetProcessStartKey").id


@export(NTOSKRNL, "PsGetProcessInheritedFromUniqueProcessId", max_irql=Irql.DISPATCH)
def ps_get_process_inherited_from_unique_process_id(k: "Kernel", process: int) -> int:
    return _facts(k, process, "PsGetProcessInheritedFromUniqueProcessId").parent


@export(NTOSKRNL, "PsGetProcessSessionId", "PsGetProcessSessionIdEx", max_irql=Irql.DISPATCH)
def ps_get_process_session_id(k: "Kernel", process: int) -> int:
    return _facts(k, process, "PsGetProcessSessionId").session


@export(NTOSKRNL, "PsGetCurrentProcessSessionId", max_irql=Irql.DISPATCH)
def ps_get_current_process_session_id(k: "Kernel") -> int:
    return k.processes.facts[k.current.process].session


@export(NTOSKRNL, "PsGetThreadSessionId", max_irql=Irql.DISPATCH)
def ps_get_thread_session_id(k: "Kernel", thread: int) -> int:
    return k.processes.facts[thread_at(k, thread, "PsGetThreadSessionId").process].session


@export(NTOSKRNL, "PsGetProcessPeb", max_irql=Irql.DISPATCH)
def ps_get_process_peb(k: "Kernel", process: int) -> int:
    return _facts(k, process, "PsGetProcessPeb").peb


@export(NTOSKRNL, "PsGetProcessSectionBaseAddress", max_irql=Irql.DISPATCH)
def ps_get_process_section_base_address(k: "Kernel", process: int) -> int:
    return _facts(k, process, "PsGetProcessSectionBaseAddress").section_base


@export(
    NTOSKRNL, "PsGetProcessWow64Process", "PsGetProcessDebugPort", "PsGetProcessJob", "PsGetProcessWin32Process",
    "PsGetProcessSecurityPort", "PsGetProcessWin32WindowStation", max_irql=Irql.DISPATCH,
)  # fmt: skip
def ps_get_nothing_of_process(k: "Kernel", process: int) -> int:
    """No process of the model is a 32-bit one, is debugged, is in a job, or has windows: null."""
    process_at(k, process, "PsGetProcessWow64Process")
    return 0


@export(NTOSKRNL, "PsGetCurrentProcessWow64Process", "PsGetCurrentProcessWin32Process", max_irql=Irql.DISPATCH)
def ps_get_nothing_of_current_process(k: "Kernel") -> int:
    del k
    return 0


@export(NTOSKRNL, "PsIsProcessBeingDebugged", "PsIsProtectedProcess", "PsIsProtectedProcessLight", max_irql=Irql.APC)
def ps_is_process_being_debugged(k: "Kernel", process: int) -> bool:
    """No process of the model is debugged or protected."""
    process_at(k, process, "PsIsProcessBeingDebugged")
    return False


@export(NTOSKRNL, "PsIsSystemProcess", max_irql=Irql.DISPATCH)
def ps_is_system_process(k: "Kernel", process: int) -> bool:
    return process_at(k, process, "PsIsSystemProcess") is k.processes.system


@export(NTOSKRNL, "PsGetProcessPriorityClass", max_irql=Irql.DISPATCH)
def ps_get_process_priority_class(k: "Kernel", process: int) -> int:
    """PROCESS_PRIORITY_CLASS_NORMAL."""
    process_at(k, process, "PsGetProcessPriorityClass")
    return 2


@export(NTOSKRNL, "PsAcquireProcessExitSynchronization", max_irql=Irql.APC)
def ps_acquire_process_exit_synchronization(k: "Kernel", process: int) -> int:
    gone = _facts(k, process, "PsAcquireProcessExitSynchronization").ended is not None
    return int(NtStatus.PROCESS_IS_TERMINATING) if gone else 0


@export(NTOSKRNL, "PsReleaseProcessExitSynchronization", max_irql=Irql.APC)
def ps_release_process_exit_synchronization(k: "Kernel", process: int) -> int:
    process_at(k, process, "PsReleaseProcessExitSynchronization")
    return 0


# -- threads


@export(NTOSKRNL, "PsLookupProcessThreadByCid", max_irql=Irql.APC)
def ps_lookup_process_thread_by_cid(k: "Kernel", client: int, process: int, thread: int) -> int:
    """Both are referenced; `process` may be null."""
    wanted, number = k.memory.read_u64(client), k.memory.read_u64(client + 8)
    found = k.processes.thread_by_id(number)
    if found is None or (wanted and found.process.id != wanted):
        return int(NtStatus.INVALID_CID)
    k.objects.take(thread_object(k, found))
    k.memory.write_u64(thread, found.kthread)
    if process:
        k.objects.take(process_object(k, found.process))
        k.memory.write_u64(process, found.process.eprocess)
    return 0


@export(NTOSKRNL, "PsGetThreadProcess", "IoThreadToProcess", max_irql=Irql.DISPATCH)
def ps_get_thread_process(k: "Kernel", thread: int) -> int:
    return thread_at(k, thread, "PsGetThreadProcess").process.eprocess


@export(NTOSKRNL, "PsGetThreadTeb", max_irql=Irql.DISPATCH)
def ps_get_thread_teb(k: "Kernel", thread: int) -> int:
    thread_at(k, thread, "PsGetThreadTeb")
    return k.memory.read_u64(thread + KTHREAD.TEB)


@export(NTOSKRNL, "PsGetCurrentThreadTeb", max_irql=Irql.DISPATCH)
def ps_get_current_thread_teb(k: "Kernel") -> int:
    return k.memory.read_u64(k.current.kthread + KTHREAD.TEB)


@export(NTOSKRNL, "PsGetThreadExitStatus", max_irql=Irql.DISPATCH)
def ps_get_thread_exit_status(k: "Kernel", thread: int) -> int:
    item = thread_at(k, thread, "PsGetThreadExitStatus")
    return item.exit_status if item.ended else int(NtStatus.PENDING)


@export(NTOSKRNL, "PsGetThreadCreateTime", max_irql=Irql.DISPATCH)
def ps_get_thread_create_time(k: "Kernel", thread: int) -> int:
    return BOOT_TIME + thread_at(k, thread, "PsGetThreadCreateTime").created


@export(NTOSKRNL, "PsGetThreadFreezeCount", max_irql=Irql.DISPATCH)
def ps_get_thread_freeze_count(k: "Kernel", thread: int) -> int:
    """Nothing suspends a thread here."""
    thread_at(k, thread, "PsGetThreadFreezeCount")
    return 0


@export(NTOSKRNL, "PsGetCurrentThreadPreviousMode", max_irql=Irql.DISPATCH)
def ps_get_current_thread_previous_mode(k: "Kernel") -> int:
    return k.memory.read_u8(k.current.kthread + KTHREAD.PREVIOUS_MODE)


@export(NTOSKRNL, "PsGetCurrentThreadStackBase", max_irql=Irql.DISPATCH)
def ps_get_current_thread_stack_base(k: "Kernel") -> int:
    return k.engine.current_execution.stack_top


@export(NTOSKRNL, "PsGetCurrentThreadStackLimit", max_irql=Irql.DISPATCH)
def ps_get_current_thread_stack_limit(k: "Kernel") -> int:
    return k.engine.current_execution.stack_base
