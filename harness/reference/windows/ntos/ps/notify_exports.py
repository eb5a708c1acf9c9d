"""Registering notify routines of processes, threads and images."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.ntos.ps.notify_routines import register, remove, removed
from harness.reference.windows.ntos.ps.signed_images import is_signed

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(NTOSKRNL, "PsSetCreateProcessNotifyRoutine", max_irql=Irql.PASSIVE)
def ps_set_create_process_notify_routine(k: "Kernel", routine: int, away: bool) -> int | KernelCode:
    return removed(k, remove(k, "process", routine), routine) if away else register(k, "process", routine)


@export(NTOSKRNL, "PsSetCreateProcessNotifyRoutineEx", max_irql=Irql.PASSIVE)
def ps_set_create_process_notify_routine_ex(k: "Kernel", routine: int, away: bool) -> int | KernelCode:
    if away:
        return removed(k, remove(k, "process-ex", routine), routine)
    if not is_signed(k, routine, "PsSetCreateProcessNotifyRoutineEx"):
        return int(NtStatus.ACCESS_DENIED)
    return register(k, "process-ex", routine)


@export(NTOSKRNL, "PsSetCreateProcessNotifyRoutineEx2", max_irql=Irql.PASSIVE)
def ps_set_create_process_notify_routine_ex2(k: "Kernel", kind: U32, routine: int, away: bool) -> int | KernelCode:
    """`kind` is PsCreateProcessNotifySubsystems, the only one there is."""
    if kind:
        return int(NtStatus.INVALID_PARAMETER)
    if away:
        return removed(k, remove(k, "process-ex2", routine), routine)
    if not is_signed(k, routine, "PsSetCreateProcessNotifyRoutineEx2"):
        return int(NtStatus.ACCESS_DENIED)
    return register(k, "process-ex2", routine)


@export(NTOSKRNL, "PsSetCreateThreadNotifyRoutine", max_irql=Irql.PASSIVE)
def ps_set_create_thread_notify_routine(k: "Kernel", routine: int) -> int:
    return register(k, "thread", routine)


@export(NTOSKRNL, "PsSetCreateThreadNotifyRoutineEx", max_irql=Irql.PASSIVE)
def ps_set_create_thread_notify_routine_ex(k: "Kernel", kind: U32, routine: int) -> int:
    """PsCreateThreadNotifyNonSystem: threads of programs alone; PsCreateThreadNotifySubsystems: all. In the new one."""
    if kind > 1:
        return int(NtStatus.INVALID_PARAMETER)
    return register(k, "thread-subsystems" if kind else "thread-ex", routine)


@export(NTOSKRNL, "PsRemoveCreateThreadNotifyRoutine", max_irql=Irql.PASSIVE)
def ps_remove_create_thread_notify_routine(k: "Kernel", routine: int) -> int | KernelCode:
    kinds = ("thread", "thread-ex", "thread-subsystems")
    found = any(remove(k, kind, routine) == 0 for kind in kinds)
    return removed(k, 0 if found else int(NtStatus.PROCEDURE_NOT_FOUND), routine)


@export(NTOSKRNL, "PsSetLoadImageNotifyRoutine", max_irql=Irql.PASSIVE)
def ps_set_load_image_notify_routine(k: "Kernel", routine: int) -> int:
    return register(k, "image", routine)


@export(NTOSKRNL, "PsSetLoadImageNotifyRoutineEx", max_irql=Irql.PASSIVE)
def ps_set_load_image_notify_routine_ex(k: "Kernel", routine: int, flags: int) -> int:
    """PS_IMAGE_NOTIFY_CONFLICTING_ARCHITECTURE asks for images of other machines as well, which nobody loads here."""
    return int(NtStatus.INVALID_PARAMETER) if flags & ~1 else register(k, "image", routine)


@export(NTOSKRNL, "PsRemoveLoadImageNotifyRoutine", max_irql=Irql.PASSIVE)
def ps_remove_load_image_notify_routine(k: "Kernel", routine: int) -> int | KernelCode:
    return removed(k, remove(k, "image", routine), routine)
