"""A debugger for a guest that is paused: QEMU's gdb stub on loopback, and the words that say how to connect.

The stub sees the processors and memory of the machine and knows nothing of Windows; ntoseye does, over the same stub,
and so does WinDbg where the image was prepared for kernel debugging.
"""

import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import GuestError, HostError
from harness.guest.guest import Guest
from harness.guest.profiles import GuestKind
from harness.host.ports import LOOPBACK
from harness.machine.machine import Machine
from harness.machine.parts import Option
from harness.machine.state import MachineState

TERMINAL = Path("/dev/tty")
DEBUGGER_NODE = "kd0"
DEBUGGER_PORT = (Option("chardev", f"pty,id={DEBUGGER_NODE}"), Option("serial", f"chardev:{DEBUGGER_NODE}"))
"""The second serial port, as a terminal of the host: where an image with `kernel_debugger: serial` has its debugger."""

_ENDED = frozenset({MachineState.NEW, MachineState.ENDED})


def paused(guest: Guest, symbols: Sequence[Path]) -> list[str]:
    """Pause a guest and open its machine for gdb; how to connect. GuestError if it runs in no machine."""
    if guest.body is None:
        raise GuestError(f"what the guest {guest.name!r} runs in is not known")
    machine = guest.body.qemu()
    return how_to_connect(open_gdb_stub(machine), guest.kind, symbols, terminal=debugger_terminal(machine))


def wait_for_enter() -> None:
    """Wait for Enter at the terminal. Not on standard input: while tests run, that is one of pytest's own."""
    with TERMINAL.open(encoding="utf-8") as terminal:
        sys.stdout.write("Enter ends the guest and the run\n")
        sys.stdout.flush()
        terminal.readline()


def open_gdb_stub(machine: Machine) -> int:
    """Have QEMU listen for gdb on a free port of loopback; the port. The guest is paused, if it was running.

    HostError if the machine has ended, or QEMU does not listen.
    """
    if machine.state in _ENDED:
        raise HostError(f"the machine {machine.name} is {machine.state.value}: there is nothing to debug")
    if machine.state is MachineState.RUNNING:
        machine.pause()
    # QEMU does not say which port it took for 0: one that is free now is named, and QEMU says if it is not any more.
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = int(probe.getsockname()[1])
    said = machine.qmp.human(f"gdbserver tcp:{LOOPBACK}:{port}")
    if "Waiting for gdb" not in said:
        raise HostError(f"QEMU does not listen for gdb on port {port}", details=tuple(said.splitlines()))
    return port


def debugger_terminal(machine: Machine) -> str | None:
    """The terminal of the host behind the machine's second serial port, if it has one for a kernel debugger."""
    nodes = {str(node["label"]): str(node["filename"]) for node in machine.qmp.execute("query-chardev")}
    return nodes[DEBUGGER_NODE].removeprefix("pty:") if DEBUGGER_NODE in nodes else None


def how_to_connect(port: int, kind: GuestKind, symbols: Sequence[Path], *, terminal: str | None = None) -> list[str]:
    """What a person types to debug the paused guest; `terminal` is that of its kernel debugger's port."""
    lines = [
        f"gdb:      gdb -ex 'set architecture i386:x86-64' -ex 'target remote {LOOPBACK}:{port}'",
    ]
    if kind is GuestKind.WINDOWS:
        paths = "".join(f" --sympath-append {directory}" for directory in symbols)
        lines.append(f"ntoseye:  ntoseye -b gdb --connect {LOOPBACK}:{port}{paths}   (pip install 'fltlab[debug]')")
        if terminal is not None:
            lines.append(f"WinDbg:   COM, 115200 baud, over {terminal}, once gdb has let the guest go on (continue)")
        else:
            lines.append("WinDbg:   the image was not prepared; kernel_debugger: serial in its image.yaml does that")
    else:
        lines.append("          that is the Linux around the reference kernel; the kernel itself says all it knows in")
        lines.append("          guest/kernel.json of the test's folder, and runs again with the same seed")
    lines += [f"symbols:  {directory}" for directory in symbols]
    return lines
