"""Processes, threads and tokens by handle: opening them, and what is asked of them."""

from struct import pack
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import U32
from harness.reference.machine.memory.layout import is_user
from harness.reference.machine.scheduler.thread import Process, Thread
from harness.reference.windows.io.request import Code
from harness.reference.windows.io.system_services import service
from harness.reference.windows.ntos.ke.offsets import KTHREAD
from harness.reference.windows.ntos.ke.shared_data import BOOT_TIME
from harness.reference.windows.ntos.ob.handle_callbacks import Opening
from harness.reference.windows.ntos.ob.handle_lookup import object_by_handle
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.ntos.ps.process_objects import process_object, thread_object
from harness.reference.windows.ntos.structures import OBJ_KERNEL_HANDLE, ClientId, ObjectAttributes
from harness.reference.windows.user.query_answers import answer, body_of, counted_name

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

ALL_ACCESS = 0x1F_FFFF
_MAXIMUM_ALLOWED = 0x0200_0000
_PROCESS_MAPPING = (0x2_0410, 0x2_0BEA, 0x12_0001, ALL_ACCESS)
_THREAD_MAPPING = (0x2_0048, 0x2_0437, 0x12_0000, ALL_ACCESS)


def _granted(access: int, mapping: tuple[int, int, int, int]) -> int:
    """Generic rights as the specific ones they stand for."""
    for bit, specific in zip((31, 30, 29, 28), mapping, strict=True):
        if access >> bit & 1:
            access |= specific
    if access & _MAXIMUM_ALLOWED:
        access |= ALL_ACCESS
    return access & ALL_ACCESS


def _open(k: "Kernel", handle_pointer: int, item: Object, access: int, attributes: int) -> Code:
    kernel = bool(ObjectAttributes(k.memory, attributes).attributes & OBJ_KERNEL_HANDLE)
    handle: int = yield from k.handle_callbacks.open(k, Opening(item, access, kernel=kernel))
    k.memory.write_u64(handle_pointer, handle)
    return 0


def _refusal(k: "Kernel", attributes: int, client: int) -> int:
    """What is wrong with OBJECT_ATTRIBUTES and CLIENT_ID: processes and threads have no names."""
    if ObjectAttributes(k.memory, attributes).object_name:
        return int(NtStatus.INVALID_PARAMETER_MIX if client else NtStatus.OBJECT_TYPE_MISMATCH)
    return 0 if client else int(NtStatus.INVALID_PARAMETER_MIX)


@service("OpenProcess")
def open_process(k: "Kernel", mode: int, handle_pointer: int, access: U32, attributes: int, client: int) -> Code:
    """NtOpenProcess: by the CLIENT_ID of the process, or of one of its threads."""
    del mode
    refusal = _refusal(k, attributes, client)
    if refusal:
        return refusal
    view = ClientId(k.memory, client)
    process = k.processes.by_id.get(view.process)
    if view.thread:
        thread = k.processes.thread_by_id(view.thread)
        if thread is None or (view.process and thread.process is not process):
            return int(NtStatus.INVALID_CID)
        process = thread.process
    if process is None or process is k.processes.idle:
        return int(NtStatus.INVALID_CID if view.thread else NtStatus.INVALID_PARAMETER)
    return (
        yield from _open(k, handle_pointer, process_object(k, process), _granted(access, _PROCESS_MAPPING), attributes)
    )


@service("OpenThread")
def open_thread(k: "Kernel", mode: int, handle_pointer: int, access: U32, attributes: int, client: int) -> Code:
    """NtOpenThread."""
    del mode
    refusal = _refusal(k, attributes, client)
    if refusal:
        return refusal
    view = ClientId(k.memory, client)
    thread = k.processes.thread_by_id(view.thread)
    if thread is None or (view.process and thread.process.id != view.process):
        return int(NtStatus.INVALID_CID)
    return (
        yield from _open(k, handle_pointer, thread_object(k, thread), _granted(access, _THREAD_MAPPING), attributes)
    )


@service("QueryInformationProcess")
def query_information_process(
    k: "Kernel", mode: int, handle: int, kind: U32, buffer: int, length: U32, returned: int
) -> int:
    """NtQueryInformationProcess."""
    del mode
    process = body_of(k, handle, Process)
    assert isinstance(process, Process)
    facts = k.processes.facts[process]
    names = {27: facts.nt_path, 43: facts.dos_path, 60: facts.command_line}
    if kind in names:
        return answer(k, counted_name(names[kind], buffer), buffer, length, returned, exact=False)
    if kind == 30:  # ProcessDebugObjectHandle
        return int(NtStatus.PORT_NOT_SET)
    pending = int(NtStatus.PENDING)
    status = pending if facts.exit_status is None else facts.exit_status
    everyone = (1 << len(k.processors)) - 1
    created, ended = BOOT_TIME + facts.created, 0 if facts.ended is None else BOOT_TIME + facts.ended
    handles = len(k.objects.handles_of(process.id))
    numbers = {
        0: pack("<QQQQQQ", status, facts.peb, everyone, 8, process.id, facts.parent),
        4: pack("<QQQQ", created, ended, 0, 0),
        7: pack("<Q", 0),
        12: pack("<I", 1),
        18: pack("<BB", 0, 2),
        20: pack("<I", handles),
        21: pack("<Q", everyone),
        23: pack("<I", 0),
        24: pack("<I", facts.session),
        26: pack("<Q", 0),
        29: pack("<I", 0),
        31: pack("<I", 1),
        61: pack("<B", 0),
    }
    if kind not in numbers:
        return int(NtStatus.INVALID_INFO_CLASS)
    return answer(k, numbers[kind], buffer, length, returned)


@service("QueryInformationThread")
def query_information_thread(
    k: "Kernel", mode: int, handle: int, kind: U32, buffer: int, length: U32, returned: int
) -> int:
    """NtQueryInformationThread."""
    del mode
    thread = body_of(k, handle, Thread)
    assert isinstance(thread, Thread)
    status = thread.exit_status if thread.ended else int(NtStatus.PENDING)
    teb = k.memory.read_u64(thread.kthread + KTHREAD.TEB)
    affinity = thread.affinity & ((1 << len(k.processors)) - 1)
    numbers = {
        0: pack("<IIQQQQii", status, 0, teb, thread.process.id, thread.id, affinity, thread.priority, 0),
        1: pack("<QQQQ", BOOT_TIME + thread.created, 0, 0, 0),
        9: pack("<Q", thread.start),
        12: pack("<I", len(thread.process.threads) == 1),
        14: pack("<I", 0),
        16: pack("<I", thread.waiting is not None),
        17: pack("<B", 0),
        20: pack("<I", thread.ended),
    }
    if kind not in numbers:
        return int(NtStatus.INVALID_INFO_CLASS)
    return answer(k, numbers[kind], buffer, length, returned)


@service("DuplicateObject")
def duplicate_object(
    k: "Kernel",
    mode: int,
    source_process: int,
    source: int,
    target_process: int,
    target_pointer: int,
    access: U32,
    attributes: U32,
    options: U32,
) -> Code:
    """NtDuplicateObject: 1 closes the source, 2 takes its access."""
    del mode
    giver, taker = (
        body_of(k, source_process, Process),
        (body_of(k, target_process, Process) if target_process else None),
    )
    item, found = object_by_handle(k, source), k.objects.lookup(source)
    assert isinstance(giver, Process)
    if item is None:
        return int(NtStatus.INVALID_HANDLE)
    wanted = (found.access if found is not None else ALL_ACCESS) if options & 2 else access
    if isinstance(taker, Process) and target_pointer:
        kernel = taker is k.processes.system and (bool(attributes & OBJ_KERNEL_HANDLE) or not is_user(source))
        opening = Opening(item, wanted, 2, kernel, taker.id, giver.eprocess, taker.eprocess)
        handle: int = yield from k.handle_callbacks.open(k, opening)
        k.memory.write_u64(target_pointer, handle)
    if options & 1 and found is not None:
        yield from k.objects.close_handle(source)
    return int(NtStatus.SUCCESS)
