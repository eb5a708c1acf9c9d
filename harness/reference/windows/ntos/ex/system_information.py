"""What ZwQuerySystemInformation tells: the machine, its processes and threads, loaded images, handles."""

from struct import Struct, pack
from typing import TYPE_CHECKING

from harness.reference.machine.memory.layout import KERNEL_STUBS, KERNEL_STUBS_SIZE, PAGE_SIZE
from harness.reference.machine.scheduler.thread import Process, Thread
from harness.reference.windows.ntos.ke.shared_data import BOOT_TIME

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

_PROCESS = Struct("<IIqIIQQqq16xi4xQQII152x")
_THREAD = Struct("<QQqI4xQQQiiIII4x")
_MODULE = Struct("<QQQIIHHHH256s")
_HANDLE = Struct("<QQQIHHII")
_READY, _RUNNING, _WAITING = 1, 2, 5
"""KTHREAD_STATE."""
_EXECUTIVE = 0
"""KWAIT_REASON."""
_HIGHEST_USER = 0x7FFF_FFFE_FFFF
_TICK = 156_250
"""Of the clock, in 100 ns."""
_KERNEL = r"\SystemRoot\system32\ntoskrnl.exe"

assert _PROCESS.size == 0x100
assert _THREAD.size == 0x50
assert _MODULE.size == 0x128


def basic(k: "Executive") -> bytes:
    """SYSTEM_BASIC_INFORMATION."""
    pages = len(k.memory.ram) // PAGE_SIZE
    everyone = (1 << len(k.processors)) - 1
    head = pack("<IIIIIII4x", 0, _TICK, PAGE_SIZE, pages, 1, pages - 1, 0x1_0000)
    return head + pack("<QQQB7x", 0x1_0000, _HIGHEST_USER, everyone, len(k.processors))


def processor(k: "Executive") -> bytes:
    """SYSTEM_PROCESSOR_INFORMATION: x64."""
    return pack("<HHHHI", 9, 6, 0, len(k.processors), 0)


def time_of_day(k: "Executive") -> bytes:
    """SYSTEM_TIMEOFDAY_INFORMATION: UTC."""
    return pack("<qqqIIQQ", BOOT_TIME, BOOT_TIME + k.now, 0, 0, 0, 0, 0)


def code_integrity(k: "Executive", length: int) -> bytes:
    """SYSTEM_CODEINTEGRITY_INFORMATION: enabled, and test signatures are good."""
    del k
    return pack("<II", length, 0x3)


def debugger(k: "Executive") -> bytes:
    """SYSTEM_KERNEL_DEBUGGER_INFORMATION: there is none."""
    del k
    return bytes((0, 1))


def processes(k: "Executive", buffer: int) -> bytes:
    """SYSTEM_PROCESS_INFORMATION of each, with its threads, for a buffer."""
    blocks: list[bytes] = []
    listed = [k.processes.idle, *sorted((p for p in k.processes.by_id.values() if p.id), key=lambda p: p.id)]
    for process in listed:
        at = buffer + sum(map(len, blocks))
        blocks.append(_process(k, process, at, last=process is listed[-1]))
    return b"".join(blocks)


def _process(k: "Executive", process: Process, at: int, *, last: bool) -> bytes:
    facts = k.processes.facts[process]
    name = process.name.encode("utf-16-le") if process.id else b""
    size = _PROCESS.size + _THREAD.size * len(process.threads) + len(name) + 2
    size = (size + 7) & ~7
    head = bytearray(
        _PROCESS.pack(
            0 if last else size, len(process.threads), 0, 0, len(process.threads), 0, BOOT_TIME + facts.created, 0, 0,
            8, process.id, facts.parent, len(k.objects.handles_of(process.id)), facts.session,
        )
    )  # fmt: skip
    if name:
        place = at + _PROCESS.size + _THREAD.size * len(process.threads)
        head[0x38:0x48] = pack("<HHIQ", len(name), len(name) + 2, 0, place)
    threads = b"".join(_thread(thread) for thread in process.threads)
    return (bytes(head) + threads + name).ljust(size, b"\0")


def _thread(thread: Thread) -> bytes:
    state = _WAITING if thread.waiting is not None else _RUNNING if thread.processor is not None else _READY
    created = BOOT_TIME + thread.created
    return _THREAD.pack(
        0, 0, created, 0, thread.start, thread.process.id, thread.id, thread.priority, thread.priority, 0, state,
        _EXECUTIVE,
    )  # fmt: skip


def modules(k: "Executive", loaded: "list[tuple[str, int, int]]") -> bytes:
    """RTL_PROCESS_MODULES: the kernel, then drivers by name, base and size in the order of their loading."""
    paths = [(_KERNEL, KERNEL_STUBS, KERNEL_STUBS_SIZE)]
    paths += [(rf"\SystemRoot\System32\drivers\{name}.sys", base, size) for name, base, size in loaded]
    blocks = []
    for index, (path, base, size) in enumerate(paths):
        name = path.encode("latin-1", "replace")[:255]
        blocks.append(_MODULE.pack(0, 0, base, size, 0, index, 0, 1, name.rfind(b"\\") + 1, name))
    del k
    return pack("<I4x", len(blocks)) + b"".join(blocks)


def handles(k: "Executive") -> bytes:
    """SYSTEM_HANDLE_INFORMATION_EX: every open handle of every process."""
    found = k.objects.all_handles()
    blocks = [_HANDLE.pack(item.object.address, item.process, item.value, item.access, 0, 0, 0, 0) for item in found]
    return pack("<QQ", len(blocks), 0) + b"".join(blocks)
