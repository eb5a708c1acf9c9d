"""Programs: any .exe of the guest runs in the reference kernel, as real user-mode code."""

import base64

from harness.reference.guestd.commands.table import Invocation
from harness.reference.guestd.kernel_process import KernelError
from harness.reference.guestd.paths import BadPath

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
        call.guest.kernel.request("services", services=call.guest.services())
        result = call.guest.kernel.request(
            "run", image=path, args=list(call.words[1:]), stdin=base64.b64encode(data).decode()
        )
    except KernelError as error:
        if "bugcheck" in error.answer or "hang" in error.answer:
            raise
        status = int(error.answer.get("ntstatus") or 0)
        call.err(f"{call.words[0]}: the program does not start: NTSTATUS 0x{status:08x} {error}")
        return 1
    call.command.write("stdout", base64.b64decode(result["stdout"]))
    call.err(f"fltlab-kernel-findings {result['findings']}")  # which the harness reads (harness/guest/crash.py)
    return int(result["exit_code"])
