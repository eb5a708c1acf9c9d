"""A guest that is paused can be debugged: QEMU's gdb stub answers, and what is printed says how to reach it."""

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.guest import pass_on
from harness.cli.main import main
from harness.errors import ExitCode, GuestError, HostError
from harness.guest import REFERENCE, Endpoint, Guest, LocalGuest
from harness.guest.debug import DEBUGGER_PORT, debugger_terminal, how_to_connect, open_gdb_stub, paused
from harness.guest.profiles import GuestKind
from harness.host.accelerator import Accelerator
from harness.host.ports import LOOPBACK
from harness.machine.machine import Machine
from harness.machine.parts import Board, Processor
from harness.machine.spec import MachineSpec
from harness.machine.state import MachineState
from tests.limits import HANG

SPEC = MachineSpec(board=Board(memory_mib=64), processor=Processor(Accelerator.TCG))
SYMBOLS = [Path("build") / "drivers"]


def ask_gdb(port: int, command: str) -> str:
    """Send one packet of gdb's remote protocol, and return the answer's content."""
    packet = f"${command}#{sum(command.encode()) & 0xFF:02x}".encode()
    with socket.create_connection((LOOPBACK, port), timeout=HANG) as connection:
        connection.sendall(packet)
        answer = b""
        while b"#" not in answer:
            more = connection.recv(4096)
            assert more, answer
            answer += more
    return answer.decode().partition("$")[2].partition("#")[0]


def test_a_paused_machine_answers_gdb_on_loopback(tmp_path: Path):
    with Machine(SPEC, tmp_path / "machine") as machine:
        port = open_gdb_stub(machine)

        assert machine.state is MachineState.PAUSED
        assert ask_gdb(port, "?").startswith("T05")


def test_a_guest_in_a_machine_is_paused_and_its_stub_answers(tmp_path: Path):
    with Machine(SPEC, tmp_path / "machine") as machine:
        guest = Guest("reference", REFERENCE, Endpoint(1, "user", "password"), machine)

        lines = paused(guest, SYMBOLS)

        port = int(lines[0].rpartition(":")[2].rstrip("'"))
        assert ask_gdb(port, "?").startswith("T05")
        assert lines[-1].endswith(str(Path("build") / "drivers"))


def test_the_port_of_a_kernel_debugger_is_a_terminal_of_the_host(tmp_path: Path):
    with Machine(replace(SPEC, options=DEBUGGER_PORT), tmp_path / "machine") as machine:
        terminal = debugger_terminal(machine)

        assert terminal is not None
        assert Path(terminal).is_char_device()
        assert (tmp_path / "machine" / "serial.log").exists()


def test_a_machine_without_one_has_no_such_terminal(tmp_path: Path):
    with Machine(SPEC, tmp_path / "machine") as machine:
        assert debugger_terminal(machine) is None


def test_a_machine_that_has_ended_is_not_debugged(tmp_path: Path):
    machine = Machine(SPEC, tmp_path / "machine")

    with pytest.raises(HostError, match="there is nothing to debug"):
        open_gdb_stub(machine)


def test_a_guest_without_a_machine_cannot_be_paused(tmp_path: Path):
    with LocalGuest(tmp_path) as guest, pytest.raises(GuestError, match="is no machine of QEMU"):
        paused(guest, SYMBOLS)


@pytest.mark.parametrize(
    ("kind", "terminal", "said"),
    [
        (GuestKind.WINDOWS, None, "WinDbg:   the image was not prepared"),
        (GuestKind.WINDOWS, None, "ntoseye -b gdb --connect 127.0.0.1:4711 --sympath-append build/drivers"),
        (GuestKind.WINDOWS, "/dev/pts/7", "WinDbg:   COM, 115200 baud, over /dev/pts/7"),
        (GuestKind.REFERENCE, None, "the Linux around the reference kernel"),
    ],
)
def test_what_is_printed_says_how_to_connect_and_where_symbols_are(kind, terminal, said):
    lines = "\n".join(how_to_connect(4711, kind, [Path("build/drivers")], terminal=terminal))

    assert "target remote 127.0.0.1:4711" in lines
    assert said in lines
    assert lines.endswith("symbols:  build/drivers")


def test_a_command_is_run_in_a_guest_of_its_own(capfdbinary: pytest.CaptureFixture[bytes]):
    assert main(["guest", "exec", "reference-local", "fltmc.exe filters", "--stack", "observer@above, completion"]) == 0

    printed = capfdbinary.readouterr().out
    assert b"fltlab-above" in printed
    assert b"fltlab-completion" in printed


def test_what_a_guest_says_does_nothing_to_a_terminal_and_is_whole_in_a_file(tmp_path: Path):
    said = b"\x1b]0;title\x07\x1b[2J\xff ok\r\n" + b"x" * 100_000 + b"\n"
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal, ThreadPoolExecutor(1) as reader:
        shown = reader.submit(until, ours, b"end of it")
        pass_on(said, terminal)
        pass_on(b"end of it", terminal)
        seen = shown.result(timeout=HANG)
    os.close(ours)
    with (tmp_path / "file").open("w") as file:
        pass_on(said, file)

    assert b"\x1b" not in seen
    assert b"<U+001B>]0;title<U+0007><U+001B>[2J" in seen
    assert seen.count(b"x") >= 100_000
    assert (tmp_path / "file").read_bytes() == said


def until(descriptor: int, end: bytes) -> bytes:
    seen = b""
    while end not in seen:
        seen += os.read(descriptor, 65536)
    return seen


def test_debug_without_a_terminal_is_wrong_use(capsys: pytest.CaptureFixture[str]):
    assert main(["guest", "debug", "reference"]) == ExitCode.USAGE
    assert "there is no terminal" in capsys.readouterr().err


def test_pause_on_failure_does_not_go_with_workers(pytester: pytest.Pytester):
    ran = pytester.runpytest_subprocess("--pause-on-failure", "-n", "2", "-p", "no:cacheprovider")

    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    assert "does not go with -n" in "\n".join(ran.errlines)
