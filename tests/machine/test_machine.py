"""A machine lives as long as it is wanted, says why it died, and leaves nothing behind."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.host.accelerator import Accelerator
from harness.image import reference
from harness.machine.machine import GuestEndedError, GuestPanickedError, Machine, MachineDiedError
from harness.machine.parts import Board, Device, Processor
from harness.machine.qmp import QmpError
from harness.machine.spec import MachineSpec
from harness.machine.state import MachineState, MachineStateError
from tests.limits import HANG, until
from tests.processes import gone

EMPTY = MachineSpec(board=Board(memory_mib=16), processor=Processor(Accelerator.TCG))


@pytest.fixture
def empty(tmp_path):
    """A machine without a disk: it starts in a tenth of a second and its firmware finds nothing to boot."""
    machine = Machine(EMPTY, tmp_path / "empty")
    yield machine
    machine.kill()


def test_a_machine_goes_from_new_over_running_and_paused_to_its_end(empty):
    assert empty.state is MachineState.NEW
    empty.start()
    assert empty.state is MachineState.RUNNING
    empty.pause()
    assert empty.state is MachineState.PAUSED
    empty.resume()
    assert empty.state is MachineState.RUNNING
    pid = empty.pid
    empty.stop()
    assert empty.state is MachineState.ENDED
    assert gone(pid)
    empty.check()  # an end that was asked for is nobody's fault


def test_a_method_in_a_state_it_makes_no_sense_in_says_so(empty):
    with pytest.raises(MachineStateError, match="pause is not possible: the machine empty is not started yet"):
        empty.pause()
    empty.start()
    with pytest.raises(MachineStateError, match="launch is not possible"):
        empty.start()


def test_a_machine_that_was_ended_can_be_ended_again(empty):
    empty.start()
    empty.kill()
    empty.kill()
    empty.stop()
    assert empty.state is MachineState.ENDED


def test_a_machine_that_never_started_can_be_ended(empty):
    empty.stop()
    assert empty.state is MachineState.ENDED


def test_qemus_own_words_are_told_when_it_does_not_start(tmp_path):
    machine = Machine(replace(EMPTY, devices=(Device("flux-capacitor"),)), tmp_path / "wrong")
    with pytest.raises(HostError, match="QEMU could not be started for the machine wrong") as caught:
        machine.start()
    assert any("flux-capacitor" in line for line in caught.value.details)
    assert machine.state is MachineState.ENDED


def test_a_missing_disk_image_is_told(tmp_path, spec):
    image = replace(spec.disk("system").image, path=tmp_path / "absent.erofs")
    machine = Machine(spec.with_images({"system": image}), tmp_path / "machine")
    with pytest.raises(HostError) as caught:
        machine.start()
    assert any("absent.erofs" in line for line in caught.value.details)


def test_a_qemu_that_is_killed_is_the_first_cause_from_then_on(empty):
    empty.start()
    os.kill(empty.pid, signal.SIGKILL)
    until(lambda: empty.state is MachineState.ENDED, "the machine to end")
    for _ in range(2):
        with pytest.raises(MachineDiedError, match="was killed by signal 9"):
            empty.check()


def test_a_picture_of_the_display_is_a_png(tmp_path):
    with Machine(replace(EMPTY, devices=(Device("VGA"),)), tmp_path / "screen") as machine:
        picture = machine.screenshot(tmp_path / "screen.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_machine_without_a_display_says_that_there_is_no_picture(empty, tmp_path):
    empty.start()
    with pytest.raises(QmpError, match="screendump"):
        empty.screenshot(tmp_path / "screen.png")


def test_secrets_are_in_no_process_list_and_in_no_log_and_do_not_outlive_the_machine(tmp_path, spec):
    secrets = reference.GuestSecrets()
    with Machine(spec, tmp_path / "machine", secrets=secrets.firmware_files()) as machine:
        handed_over = [file.path(machine.run_dir) for file in spec.firmware_files]
        assert {stat.S_IMODE(path.stat().st_mode) for path in handed_over} == {0o600}
        assert stat.S_IMODE(machine.run_dir.stat().st_mode) == 0o700
        arguments = Path(f"/proc/{machine.pid}/cmdline").read_text()
        environment = Path(f"/proc/{machine.pid}/environ").read_text()
    everything = arguments + environment + machine.qemu_log.read_text() + "".join(machine.serial_tail(1000))
    assert secrets.configuration.password not in everything
    assert secrets.configuration.password not in repr(secrets)
    assert not any(path.exists() for path in handed_over)


def test_each_machine_has_its_own_secrets():
    first, second = reference.GuestSecrets(), reference.GuestSecrets()
    assert first.configuration.password != second.configuration.password
    assert first.configuration.boot_id != second.configuration.boot_id
    assert first.ssh.host_public_key() != second.ssh.host_public_key()


def test_secrets_that_were_kept_are_the_same_again(tmp_path):
    secrets = reference.GuestSecrets()
    secrets.save(tmp_path / "secrets")
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o600
    again = reference.GuestSecrets.load(tmp_path / "secrets")
    assert again.configuration == secrets.configuration
    assert again.ssh.client_private_key() == secrets.ssh.client_private_key() or (
        again.ssh.authorized_key() == secrets.ssh.authorized_key()
    )
    assert again.ssh.host_public_key() == secrets.ssh.host_public_key()


def test_a_panic_of_the_guest_is_reported_with_the_end_of_its_log(fork, shell, short):
    machine = fork()
    shell(machine, "(sleep 0.2; echo c > /proc/sysrq-trigger) >/dev/null 2>&1 &")
    machine.qmp.wait_event("GUEST_PANICKED", short)
    with pytest.raises(GuestPanickedError, match="panicked") as caught:
        machine.check()
    assert any("sysrq" in line.lower() or "panic" in line.lower() for line in caught.value.details)
    assert machine.state is MachineState.PANICKED


def test_a_guest_that_shuts_down_is_reported(fork, shell, short):
    machine = fork()
    shell(machine, "(sleep 0.2; busybox poweroff -f) >/dev/null 2>&1 &")
    machine.qmp.wait_event("SHUTDOWN", short)
    with pytest.raises(GuestEndedError, match="guest-shutdown"):
        machine.check()


def test_a_non_maskable_interrupt_reaches_the_guest(fork, shell):
    machine = fork()
    count = "awk '/NMI:/ {print $2}' /proc/interrupts"
    before = int(shell(machine, count).output)
    machine.inject_nmi()
    until(lambda: int(shell(machine, count).output) > before, "the interrupt")


PARENT = textwrap.dedent(
    """
    import os, sys, threading
    from pathlib import Path
    from harness.host.accelerator import Accelerator
    from harness.machine.machine import Machine
    from harness.machine.spec import MachineSpec
    from harness.machine.parts import Board, Processor
    from harness.machine.watchdog import watchdog

    machine = Machine(MachineSpec(Board(16), Processor(Accelerator.TCG)), Path(sys.argv[1]))
    thread = threading.Thread(target=machine.start)
    thread.start()
    thread.join()
    print(machine.pid, watchdog().process.pid, flush=True)
    sys.stdin.read()
    """
)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_qemu_and_its_directory_go_when_their_parent_is_killed(tmp_path, number):
    run_dir = tmp_path / "a machine"
    command = [sys.executable, "-c", PARENT, run_dir]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        qemu, dog = map(int, parent.stdout.readline().split())
        assert not gone(qemu)  # it outlives the thread that asked for it
        assert run_dir.exists()
        parent.send_signal(number)
    until(lambda: gone(qemu), "QEMU to be gone")
    until(lambda: gone(dog), "the watchdog to be gone")
    assert not run_dir.exists()


def test_the_watchdog_leaves_alone_what_has_ended(tmp_path):
    script = PARENT.replace("sys.stdin.read()", "machine.stop()")
    subprocess.run([sys.executable, "-c", script, tmp_path / "machine"], check=True, capture_output=True, timeout=HANG)
    assert (tmp_path / "machine" / "qemu.log").exists()
