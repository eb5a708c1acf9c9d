"""Makes blob.py of leaves.S: `python -m harness.reference.windows.leaves.assemble`.

The assembler is clang's. Where there is none, as in a guest, nothing is lost: blob.py is under version control, and a
test holds it against its source.
"""

import shutil
import struct
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

from harness.nt import CallbackDataFlags, PreopStatus
from harness.reference.machine.cpu import code
from harness.reference.machine.cpu.emulator import CONTROLS
from harness.reference.machine.memory.layout import CALL_PAGE, LEAVE_LEAF, TRAP
from harness.reference.windows.fltmgr import chain_layout
from harness.reference.windows.fltmgr.chain_layout import CHAIN, OPERATION, VISIT
from harness.reference.windows.ntos.ke import shared_data
from harness.reference.windows.ntos.ke.offsets import KLOCK_QUEUE_HANDLE, KPCR, KTHREAD
from harness.reference.windows.ntos.ke.processor_control import SYNCH_LEVEL

SOURCE = Path(__file__).with_name("leaves.S")
BLOB = Path(__file__).with_name("blob.py")
CONSTANTS = {
    "CALL_PAGE": CALL_PAGE,
    "TRAP": TRAP,
    "LEAVE_LEAF": LEAVE_LEAF,
    "CALL_BUDGET": code.BUDGET,
    "CALL_MIXED": code.MIXED,
    "CALL_MULTIPLIER": code.MULTIPLIER,
    "CALL_NANOSECONDS": code.NANOSECONDS,
    "CALL_WANTED": code.WANTED,
    "CALL_ATTENTION": code.ATTENTION,
    "CALL_NOTES": code.NOTES,
    "NOTES_END": code.NOTES_END,
    "NOTE_SIZE": code.NOTE.size,
    "NANOSECONDS_PER_CALL": code.NANOSECONDS_PER_CALL,
    "KPCR_IRQL": KPCR.IRQL,
    "KPCR_NUMBER": KPCR.NUMBER,
    "KPCR_CURRENT_THREAD": KPCR.CURRENT_THREAD,
    "KPCR_HELD": KPCR.HELD,
    "KPCR_HELD_LOCKS": KPCR.HELD_LOCKS,
    "HELD_MOST": KPCR.HELD_MOST,
    "KTHREAD_SELF": KTHREAD.SELF,
    "KTHREAD_KERNEL_APC_DISABLE": KTHREAD.KERNEL_APC_DISABLE,
    "KTHREAD_PROCESS": KTHREAD.PROCESS,
    "KTHREAD_PROCESS_ID": KTHREAD.PROCESS_ID,
    "KTHREAD_THREAD_ID": KTHREAD.THREAD_ID,
    "QUEUED_LOCK": KLOCK_QUEUE_HANDLE.LOCK,
    "QUEUED_OLD_IRQL": KLOCK_QUEUE_HANDLE.OLD_IRQL,
    "SYNCH_LEVEL": SYNCH_LEVEL,
    "PERFORMANCE_FREQUENCY": shared_data.PERFORMANCE_FREQUENCY,
    **{f"CHAIN_{name}": value for name, value in vars(CHAIN).items() if name.isupper()},
    **{f"VISIT_{name}": value for name, value in vars(VISIT).items() if name.isupper()},
    **{f"CHAIN_{name}": getattr(chain_layout, name) for name in ("DONE", "CALLED", "NOT_CALLED")},
    "CONTROL_FLAGS": CONTROLS,
    "VISIT_STRIDE": OPERATION.STRIDE,
    "RELATED_SIZE": OPERATION.SLOT,
    "RELATED_FILE": OPERATION.RELATED_FILE,
    "DATA_STATUS": OPERATION.STATUS,
    "DATA_PARAMETERS": OPERATION.IOPB,
    "DATA_TARGET_FILE": OPERATION.IOPB + OPERATION.TARGET_FILE,
    "DATA_TARGET_INSTANCE": OPERATION.IOPB + OPERATION.TARGET_INSTANCE,
    "DATA_DIRTY": int(CallbackDataFlags.DIRTY),
    "DATA_POST_OPERATION": int(CallbackDataFlags.POST_OPERATION),
    "SUCCESS_NO_CALLBACK": int(PreopStatus.SUCCESS_NO_CALLBACK),
}
_COUNTED, _ROUTINE = 1, 2
_HEADER = '''"""The leaves as machine code: assemble.py makes this file of leaves.S."""

'''


def assemble() -> tuple[bytes, list[tuple[str, int, int]]]:
    """Assemble leaves.S: its code; of each piece the name, the kind (leaves.inc) and the offset."""
    with tempfile.TemporaryDirectory(prefix="fltlab-leaves-") as name:
        folder = Path(name)
        defines = [f"-D{constant}={value:#x}" for constant, value in CONSTANTS.items()]
        target = ["--target=x86_64-unknown-none-elf", "-x", "assembler-with-cpp", "-c", "-o", "leaves.o"]
        _run(folder, _tool("clang"), *target, *defines, str(SOURCE))
        sections = []
        for section in (".text", ".leaves"):
            _run(folder, _tool("llvm-objcopy"), "-O", "binary", f"--only-section={section}", "leaves.o", "out.bin")
            sections.append((folder / "out.bin").read_bytes())
    return sections[0], list(_entries(sections[1]))


def _entries(table: bytes) -> Iterator[tuple[str, int, int]]:
    at = 0
    while at < len(table):
        end = table.index(0, at)
        kind, offset = struct.unpack_from("<BI", table, end + 1)
        yield table[at:end].decode(), kind, offset
        at = end + 6


def text() -> str:
    """The text of blob.py."""
    machine_code, entries = assemble()
    lines = [_HEADER + "LEAVES = {"]
    lines += [f'    "{name}": ({offset}, {kind == _COUNTED}),' for name, kind, offset in entries if kind != _ROUTINE]
    lines += ['}\n"""By name: the offset of the code, and whether the leaf is counted."""', "ROUTINES = {"]
    lines += [f'    "{name}": {offset},' for name, kind, offset in entries if kind == _ROUTINE]
    lines += ['}\n"""By name: the offset of what is no export."""', "CODE = ("]
    lines += [f'    "{line}"' for line in textwrap.wrap(machine_code.hex(), 112)]
    return "\n".join([*lines, ")", ""])


def _tool(name: str) -> str:
    for candidate in (f"{name}-19", f"{name}-20", f"{name}-21", f"{name}-22", name):
        found = shutil.which(candidate)
        if found is not None:
            return found
    raise SystemExit(f"the leaves cannot be assembled: {name} is not installed (apt install clang-19 llvm-19)")


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the leaves cannot be assembled: {command[0]} says\n{done.stderr}")


if __name__ == "__main__":
    BLOB.write_text(text(), encoding="ascii")
