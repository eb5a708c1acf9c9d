"""Programs: any .exe of the guest runs in the reference kernel, as real user-mode code."""

from harness.reference.guestd.commands.table import Invocation
from harness.reference.guestd.kernel_process import KernelRefused
from harness.reference.guestd.paths import BadPath
from harness.wire import kernel as wire
from harness.wire.codec import encode

NOT_FOUND = 9009


def run_program(call: Invocation) -> int:
    """Run the program that the command's first word names; 9009 if there is none, as cmd has it."""
    path = find_program(call, call.words[0])
    return NOT_FOUND if path is None else _run(call, path)


def find_program(call: Invocation, name: str) -> str | None:
    """The file of the host that a program's name leads to; None, which the caller has been told, for nothing."""
    candidates = [name] if name.lower().endswith(".exe") else [name + ".exe"]
    if "\\" not in name and ":" not in name:
        candidates = [folder + candidates[0] for folder in ("", "C:\\fltlab\\", "C:\\Windows\\System32\\")]
    for candidate in candidates:
        try:
            path = call.guest.drives.local(candidate, call.command.shell.directory)
        except BadPath:
            continue
        if path.is_file():
            return str(path)
    call.err(f"'{name}' is not recognized as an internal or external command,\noperable program or batch file.")
    return None


def _run(call: Invocation, path: str) -> int:
    data = call.command.read_all()
    try:
        ended = call.guest.ask_kernel(wire.Run(path, tuple(call.words[1:]), data))
    except KernelRefused as error:
        return does_not_start(call, call.words[0], error)
    assert isinstance(ended, wire.Ended)
    call.command.write("stdout", ended.stdout)
    call.err(f"{wire.FINDINGS_MARK}{ended.findings}")
    if ended.seen.callbacks or ended.seen.filters:
        call.err(f"{wire.CALLBACKS_MARK}{encode(ended.seen)}")
    return ended.exit_code


def does_not_start(call: Invocation, name: str, error: KernelRefused) -> int:
    """Say why a program does not start; the exit code."""
    status = error.refused.ntstatus & 0xFFFFFFFF
    call.err(f"{name}: the program does not start: NTSTATUS 0x{status:08x} {error}")
    return 1
