"""Programs: any .exe of the guest runs in the reference kernel, as real user-mode code."""

from harness.reference.guestd.commands.table import Invocation
from harness.reference.guestd.kernel_process import KernelRefused
from harness.reference.guestd.paths import BadPath
from harness.wire import kernel as wire
from harness.wire.codec import encode

NOT_FOUND = 9009


def run_program(call: Invocation) -> int:
    """Run the program that the command's first word names; 9009 if there is none, as cmd has it."""
    name = call.words[0]
    candidates = [name] if name.lower().endswith(".exe") else [name + ".exe"]
    if "\\" not in name and ":" not in name:
        candidates = [folder + candidates[0] for folder in ("", "C:\\fltlab\\", "C:\\Windows\\System32\\")]
    for candidate in candidates:
        try:
            path = call.guest.drives.local(candidate, call.command.shell.directory)
        except BadPath:
            continue
        if path.is_file():
            return _run(call, str(path))
    call.err(f"'{name}' is not recognized as an internal or external command,\noperable program or batch file.")
    return NOT_FOUND


def _run(call: Invocation, path: str) -> int:
    data = call.command.read_all()
    try:
        ended = call.guest.ask_kernel(wire.Run(path, tuple(call.words[1:]), data))
    except KernelRefused as error:
        status = error.refused.ntstatus & 0xFFFFFFFF
        call.err(f"{call.words[0]}: the program does not start: NTSTATUS 0x{status:08x} {error}")
        return 1
    assert isinstance(ended, wire.Ended)
    call.command.write("stdout", ended.stdout)
    call.err(f"{wire.FINDINGS_MARK}{ended.findings}")
    if ended.seen.callbacks:
        call.err(f"{wire.CALLBACKS_MARK}{encode(ended.seen)}")
    return ended.exit_code
