"""Runs a command line: each step of its chain by the table of commands, or as a program in the reference kernel."""

from harness.reference.guestd.cancellation import Cancelled
from harness.reference.guestd.commands import background, batch, control, files, fltmc, fsutil, reg, sc, system
from harness.reference.guestd.commands.run_program import run_program
from harness.reference.guestd.commands.table import COMMANDS, Invocation
from harness.reference.guestd.complaints import complain
from harness.reference.guestd.guest import Guest
from harness.reference.guestd.kernel_process import KernelBusy, KernelGone, KernelRefused, KernelStopped
from harness.reference.guestd.shells import Command
from harness.reference.guestd.words import BadCommandLine, chain, split
from harness.wire import kernel as wire
from harness.wire.codec import encode

MODULES = (background, control, files, fltmc, reg, fsutil, sc, system)
"""The families of commands; importing them fills the table."""

KERNEL_STOPPED = 0xC0000221 - (1 << 32)
"""Exit code of a command under which the reference kernel stopped, died or does not answer."""


class Console:
    """The command interpreter of one guest."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    def run(self, command: Command) -> int:
        """Run the command line of `command` and return the exit code of its last step."""
        try:
            return self._line(command.line, command)
        except system.Leave as leave:
            return leave.code
        except BadCommandLine as bad:
            command.err(f"The syntax of the command is incorrect: {bad}\n")
            return 1
        except Cancelled:
            raise
        except KernelRefused as refused:
            command.err(f"the reference kernel refused: {refused}\n")
            return 1
        except (KernelStopped, KernelGone, KernelBusy) as problem:
            command.err(describe(problem) + "\n")
            return KERNEL_STOPPED
        except Exception as error:  # noqa: BLE001 - the console keeps the traceback; the client is told, not killed
            complain()
            command.err(f"the guest daemon failed: {type(error).__name__}: {error}\n")
            return 1
        finally:
            self._guest.registry.save()

    def _line(self, line: str, command: Command, code: int = 0) -> int:
        """Run a chain; `code` is the exit code of what ran before it."""
        for step in chain(line):
            if step.runs_after(code):
                try:
                    code = self._step(step.text, command)
                except system.Leave as leave:
                    raise leave if leave.given else system.Leave(code) from None
        return code

    def _step(self, text: str, command: Command) -> int:
        words = split(text)
        if words and words[0].lower() == "call":
            words, text = words[1:], text.split(None, 1)[-1]
        if not words:
            return 0
        name = words[0].lower().rpartition("\\")[2].removesuffix(".exe")
        invocation = Invocation(words, text, self._guest, command)
        if batch.is_batch(invocation):
            return self._batch(invocation)
        function = COMMANDS.get(name)
        return function(invocation) if function is not None else run_program(invocation)

    def _batch(self, call: Invocation) -> int:
        """Run a batch file to its end, or to its `exit`."""
        text = files.read_text(call, call.words[0])
        if text is None:
            call.err(f"'{call.words[0]}' is not recognized as an internal or external command,")
            call.err("operable program or batch file.")
            return 1
        code = 0
        try:
            for line in batch.lines_of(text):
                code = self._line(line, call.command, code)
        except system.Leave as leave:
            return leave.code
        return code


def describe(problem: KernelStopped | KernelGone | KernelBusy) -> str:
    """One line with the kernel's state, which the harness reads."""
    return wire.STOPPED_MARK + encode(control.state_of(problem))
