"""Handles, threads and the end of a process, as programs ask for them."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import NTDLL, U8, U32, export
from harness.reference.windows.io.request import Code
from harness.reference.windows.io.system_services import service
from harness.reference.windows.ntos.ob.objects import CURRENT_PROCESS, CURRENT_THREAD
from harness.reference.windows.ntos.ps.process_objects import thread_object
from harness.reference.windows.ntos.structures import ClientId

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(NTDLL, "NtClose", "ZwClose")
def nt_close(k: "Kernel", handle: int) -> Code:
    """NtClose."""
    if handle in (CURRENT_PROCESS, CURRENT_THREAD):
        return int(NtStatus.SUCCESS)
    closed = yield from k.objects.close_handle(handle)
    return int(NtStatus.SUCCESS if closed else NtStatus.INVALID_HANDLE)


@export(NTDLL, "RtlCreateUserThread")
def rtl_create_user_thread(
    k: "Kernel",
    process: int,
    security: int,
    suspended: U8,
    zero_bits: U32,
    reserve: int,
    commit: int,
    routine: int,
    parameter: int,
    handle_out: int,
    client_id: int,
) -> Code:
    """RtlCreateUserThread in the calling process, not suspended."""
    del security, zero_bits, reserve, commit
    if process != CURRENT_PROCESS or suspended:
        return int(NtStatus.NOT_SUPPORTED)
    thread = yield from k.programs.start_thread(k.programs.current, routine, parameter)
    if handle_out:
        k.memory.write_u64(handle_out, k.objects.open(thread_object(k, thread), kernel=False, access=0x1FFFFF))
    if client_id:
        view = ClientId(k.memory, client_id)
        view.process, view.thread = thread.process.id, thread.id
    return int(NtStatus.SUCCESS)


@export(NTDLL, "RtlExitUserThread")
def rtl_exit_user_thread(k: "Kernel", status: U32) -> Code:
    """RtlExitUserThread."""
    yield from k.programs.exit_thread(status)


@service("TerminateProcess")
def terminate_process(k: "Kernel", mode: int, handle: int, status: U32) -> Code:
    """NtTerminateProcess of the calling process."""
    del mode
    if handle not in (0, CURRENT_PROCESS):
        return int(NtStatus.NOT_SUPPORTED)
    yield from k.programs.terminate(k.programs.current, status)
    yield from k.programs.exit_thread(status)


@export(NTDLL, "RtlExitUserProcess")
def rtl_exit_user_process(k: "Kernel", status: U32) -> Code:
    """RtlExitUserProcess."""
    yield from k.programs.terminate(k.programs.current, status)
    yield from k.programs.exit_thread(status)


@export(NTDLL, "RtlAdjustPrivilege")
def rtl_adjust_privilege(k: "Kernel", privilege: U32, enable: U8, thread: U8, was_enabled: int) -> int:
    """RtlAdjustPrivilege: a program here is an administrator's, and holds every privilege enabled for good."""
    del privilege, enable, thread
    k.memory.write_u8(was_enabled, 1)
    return int(NtStatus.SUCCESS)
