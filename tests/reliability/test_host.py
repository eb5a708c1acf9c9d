"""What fails on the host: its disk, its files, its ports, its clock."""

import ast
import contextlib
import http.server
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import ExitCode
from harness.farm.bench.ground import Ground
from harness.guest import REFERENCE, Endpoint, Guest
from harness.guest.errors import ConnectionLost
from harness.host.ports import is_free
from harness.image.reference.boot import GuestSecrets
from harness.machine.deadlines import Deadline
from harness.machine.disks import make_overlay, virtual_size
from harness.machine.machine import DamagedDiskError, Machine
from tests.limits import HANG, until
from tests.reliability.mounts import private_mounts

ROOT = Path(__file__).resolve().parents[2]
REFCOUNT_TABLE_AT = 48
"""Where the header of a qcow2 file says where its refcount table is."""


@pytest.fixture
def ground():
    with Ground.prepared() as ground:
        yield ground


@contextlib.contextmanager
def _ended(machine: Machine) -> Iterator[None]:
    """A machine that runs, ended with the context."""
    try:
        yield
    finally:
        machine.kill()


def test_an_overlay_that_is_damaged_is_the_hosts_fault_and_not_the_drivers(ground: Ground):
    folder, secrets = ground.folder("damaged"), GuestSecrets()
    folder.mkdir(mode=0o700)
    disk = ground.spec.disk("data")
    overlay = disk.overlay(folder)
    make_overlay(overlay, virtual_size(disk.image))
    with overlay.open("r+b") as file:  # no cluster counts as used any more, not even the header's own
        file.seek(REFCOUNT_TABLE_AT)
        (table,) = struct.unpack(">Q", file.read(8))
        file.seek(table)
        (block,) = struct.unpack(">Q", file.read(8))
        file.seek(block)
        file.write(bytes(64))
    machine = Machine(ground.spec, folder, secrets=secrets.firmware_files(), deadlines=ground.deadlines)
    with machine:
        machine.qmp.wait_event("BLOCK_IMAGE_CORRUPTED", Deadline(HANG, "the guest to write to its disk"))
        with pytest.raises(DamagedDiskError, match=r"the disk data of the machine .* is damaged"):
            machine.check()
    assert not overlay.exists()


def test_what_a_dead_machine_answers_is_not_taken(ground: Ground):
    running = ground.fork()
    with _ended(running.machine), running.guest() as guest:
        running.machine._first_cause = DamagedDiskError("the disk data of the machine is damaged")  # as the event does

        with pytest.raises(DamagedDiskError):
            guest.run("ver")


def test_each_machine_gets_a_port_that_is_its_own_whatever_others_hold(ground: Ground):
    machines = [ground.fork().machine for _ in range(2)]
    ports = [port for machine in machines for port in machine.ports.values()]
    assert len(set(ports)) == 4
    assert not any(is_free(port) for port in ports)
    for machine in machines:
        machine.kill()
    # Whoever passes by may have one of them for a moment.
    until(lambda: all(is_free(port) for port in ports), "the ports to be free")


class _Stranger(http.server.BaseHTTPRequestHandler):
    """Somebody else's server, where a guest's port is expected."""

    def do_POST(self) -> None:
        body = b"It works!"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_stranger_on_a_guests_port_is_not_taken_for_the_guest():
    with http.server.HTTPServer(("127.0.0.1", 0), _Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        guest = Guest("mine", REFERENCE, Endpoint(server.server_port, "user", "password"))
        with guest, pytest.raises(ConnectionLost, match="did not answer as WinRM does"):
            guest.identity("a boot id")
        server.shutdown()


def test_a_disk_without_room_for_the_image_is_told_before_anything_is_made(project):
    project.test("def test_it(guest): pass")
    (project.root / "home").mkdir()
    mount = private_mounts()
    script = 'mount -t tmpfs -o size=8m none home && "$@"'

    code, output = project.end(
        "--guest=reference", wrapper=[*mount, script, "sh"], FLTLAB_HOME=str(project.root / "home")
    )

    assert code == ExitCode.HOST, output
    assert output.count("\n  not enough room on the disk") == 1
    assert "Traceback" not in output
    project.assert_nothing_is_left()


def test_no_wait_depends_on_the_clock_that_people_set():
    """Deadlines count on the monotonic clock: one that jumps ends none early and none late."""
    setters = {"time.time", "time.ctime", "time.localtime"}
    found = []
    for path in (ROOT / "harness").rglob("*.py"):
        calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        found += [str(path.relative_to(ROOT)) for call in calls if ast.unparse(call.func) in setters]
    told_the_guest = {
        "harness/fleet/reference_guest.py",
        "harness/farm/bench/ground.py",
        "harness/guest/waking.py",
    }
    compared_with_the_guests = {"harness/guest/selftest.py", "harness/guest/forks.py", "harness/guest/winrm.py"}
    compared_with_qemus_events = {"harness/guest/windows.py"}
    written_down = {"harness/guest/conversation.py", "harness/report/coverage/measured.py"}
    age_of_files = {
        "harness/cluster/pruning.py",
        "harness/cluster/store.py",
        "harness/fleet/builds.py",
        "harness/fleet/housekeeping.py",
        "harness/minifilter/build.py",
    }
    shown_to_people = {path for path in found if path.startswith("harness/reference/")}

    assert (
        set(found) - shown_to_people
        <= told_the_guest | compared_with_the_guests | age_of_files | compared_with_qemus_events | written_down
    )
