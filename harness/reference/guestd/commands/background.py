"""fltlab-background: a program that runs beside what else the guest is asked to do, as a command that goes on.

Its output comes as it is printed. The client ends it by a signal, as every command: it is told to end, and terminated
if it does not. Guest time passes only while another command has the kernel run.
"""

from harness.reference.guestd.cancellation import CURRENT, Cancelled
from harness.reference.guestd.commands.run_program import NOT_FOUND, does_not_start, find_program
from harness.reference.guestd.commands.table import Invocation, command
from harness.reference.guestd.kernel_process import KernelRefused
from harness.reference.guestd.shells import CONTROL_C_EXIT
from harness.wire import kernel as wire
from harness.wire import programs

USAGE = (
    "usage: fltlab-background [--ready TEXT] [--patience MS] [--service NAME] PROGRAM [ARGUMENT...]"
    " | --run-to-end PROCESS"
)
TICKS_PER_MS = 10_000


@command("fltlab-background")
def background(call: Invocation) -> int:
    """Start a program, and stay until it has ended; or have the kernel run until one that was started has."""
    if len(call.words) == 3 and call.words[1] == "--run-to-end" and call.words[2].isdecimal():
        call.guest.ask_kernel(programs.Await(int(call.words[2])))
        return 0
    words, ready, service, patience = list(call.words[1:]), "", "", programs.Start("").patience
    while len(words) > 1 and words[0] in ("--ready", "--patience", "--service"):
        if words[0] == "--ready":
            ready = words[1]
        elif words[0] == "--service":
            service = words[1]
        elif words[1].isdecimal():
            patience = int(words[1]) * TICKS_PER_MS
        del words[:2]
    if not words or words[0].startswith("--"):
        call.err(USAGE)
        return 87
    path = find_program(call, words[0])
    if path is None:
        return NOT_FOUND
    asked = programs.Start(path, tuple(words[1:]), call.command.read_all(), ready, patience, service)
    call.command.in_background = True
    with call.guest.awaiting_kernel(call.command):
        try:
            progress = call.guest.ask_kernel(asked)
        except KernelRefused as error:
            return does_not_start(call, words[0], error)
        call.err(f"{wire.STARTED_MARK}{progress.process}")
        return _follow(call, progress.process, progress)


def _follow(call: Invocation, process: int, progress: programs.Progress) -> int:
    """Hand on what the program prints, until it has ended; it is ended in order when the client gives up."""
    CURRENT.set(None)
    while progress.exit_code is None:
        if _told_to_end(call, progress.stdout):
            asked = programs.End(process, 0) if call.command.forced else programs.End(process)
            progress = call.guest.ask_kernel(asked)
            call.command.write_last("stdout", progress.stdout)
            return CONTROL_C_EXIT if progress.exit_code is None else progress.exit_code
        progress = call.guest.ask_kernel(programs.Look(process))
    call.command.write("stdout", progress.stdout)
    return int(progress.exit_code)


def _told_to_end(call: Invocation, printed: bytes) -> bool:
    """Hand on what was printed, and wait until there may be more; whether the client has given up."""
    try:
        call.command.write("stdout", printed)
    except Cancelled:
        call.command.write_last("stdout", printed)
        return True
    return call.command.await_nudge()
