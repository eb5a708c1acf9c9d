"""What a run on guests in QEMU says, keeps and leaves when the guest, its QEMU, its network or the run itself dies."""

import hashlib
import json
import signal

import pytest

from harness.errors import ExitCode
from harness.host.directories import home

REFERENCE = "--guest=reference"

SECRETS = '''
    """Remembers the secrets of every guest: the tests come in by SSH, as root, to do harm."""

    import io
    import paramiko
    import pytest
    from tests.limits import HANG
    from harness.fleet import reference_guest

    KEPT = {}
    original = reference_guest.endpoint

    def endpoint(machine, secrets):
        KEPT[id(machine)] = secrets
        return original(machine, secrets)

    reference_guest.endpoint = endpoint

    @pytest.fixture
    def root(guest):
        """Runs a shell command in the guest as root.

        All of them in one shell: dropbear mixes up channels that are opened in quick succession.
        """
        key = paramiko.Ed25519Key.from_private_key(io.StringIO(KEPT[id(guest.body)].ssh.client_private_key()))
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        patience = {"timeout": HANG, "banner_timeout": HANG, "auth_timeout": HANG}
        client.connect("127.0.0.1", guest.body.ports[22], "root", pkey=key, look_for_keys=False, **patience)
        told, answers, _ = client.exec_command("sh", timeout=HANG)

        def run(command):
            told.write(f"{command}\\necho --done--\\n")
            told.flush()
            lines = []
            while (line := answers.readline()) != "--done--\\n":
                assert line, "the shell has ended"
                lines.append(line)
            return "".join(lines)

        yield run
        client.close()
'''

DEATHS = """
    from harness.machine.deadlines import Deadline
    from harness.machine.faults import DiskFaults
    from tests.limits import HANG, until

    def test_nothing_happens(guest):
        assert guest.run("ver").ok

    @pytest.mark.stack("passthrough")
    def test_the_kernel_panics(lab, guest, root):
        root("(sleep 0.3; echo c > /proc/sysrq-trigger) >/dev/null 2>&1 &")
        guest.body.qmp.wait_event("GUEST_PANICKED", Deadline(HANG, "the panic"))
        lab.io(READ)

    @pytest.mark.stack("passthrough")
    def test_qemu_is_killed(lab, guest):
        kill(guest.body.pid)
        lab.io(READ)

    def test_the_network_is_lost(guest):
        guest.body.qmp.execute("set_link", name="net0", up=False)
        guest.run("ver", timeout=1)

    def test_the_daemon_is_killed(guest, root):
        root("for p in /proc/[0-9]*; do grep -q 'harness[.]reference.guestd' $p/cmdline && kill -9 ${p#/proc/}; done")
        guest.run("ver")

    def test_the_guest_makes_no_progress(guest):
        guest.body.pause()
        guest.run("ver", timeout=1)

    def test_the_guest_shuts_down(guest, root):
        root("(sleep 0.2; busybox poweroff -f) >/dev/null 2>&1 &")
        guest.body.qmp.wait_event("SHUTDOWN", Deadline(HANG, "the guest to shut down"))
        guest.run("ver")

    def test_the_clock_jumps(guest, root):
        for days in (-400, 400):
            root(f"busybox date -s @{int(time.time()) + days * 86400}")
            assert guest.run("ver").ok
            assert abs(guest.identity().time - time.time()) > 86400 * 300

    @pytest.mark.stack("observer@above", "crash")
    def test_a_driver_crashes(lab):
        lab.io(READ)

    @pytest.mark.stack("passthrough")
    def test_the_data_disk_stalls(lab, guest, root):
        write = "dd if=/dev/zero of=/volume/new bs=4096 count=1 oflag=direct"
        with DiskFaults(guest.body, "data").stalled():
            root(f"({write}; echo $? > /tmp/done) > /dev/null 2>&1 &")
            for _ in range(20):
                assert guest.run("ver").ok
            assert "done" not in root("ls /tmp")
            assert "{dd}" in root("busybox ps")
        until(lambda: "done" in root("ls /tmp"), "the write to return", 0.1)
        assert root("cat /tmp/done") == "0\\n"

    def test_nothing_happens_any_more(guest):
        assert guest.run("ver").ok
"""


def hashes(*folders: str) -> dict[str, str]:
    """The files of images and templates, and what is in them; what templates last served is beside them."""
    files = [path for folder in folders for path in (home() / folder).glob("*/**/*") if path.is_file()]
    return {str(path): hashlib.file_digest(path.open("rb"), "sha256").hexdigest() for path in files}


@pytest.fixture(scope="module")
def died(tmp_path_factory: pytest.TempPathFactory):
    """One run, in which one guest after the other dies: the project, its exit code and what it printed."""
    from tests.reliability.conftest import Project

    project = Project(tmp_path_factory.mktemp("died"))
    project.test("def test_warm(guest): pass")
    project.end(REFERENCE)
    before = hashes("images")
    project.conftest(SECRETS)
    project.test(DEATHS)
    code, output = project.end(REFERENCE)
    assert hashes("images") == before
    return project, code, output


@pytest.fixture
def told(died):
    """The tag and message of a test in junit.xml, and the evidence."""
    project, _, _ = died

    def tell(name: str) -> tuple[str, str, dict[str, str]]:
        tag, message = project.case(name)
        return tag, message, {} if tag == "passed" else project.evidence(name)

    return tell


def test_a_panic(told):
    tag, message, evidence = told("test_the_kernel_panics")

    assert (tag, message) == ("error", "the guest reference panicked")
    assert "sysrq" in evidence["serial.log"]
    assert json.loads(evidence["qmp.json"])["status"]["status"] == "guest-panicked"
    assert "ReadTimeout" not in evidence["winrm.json"]  # the request under way was broken off at once


def test_a_qemu_that_is_killed(told):
    tag, message, evidence = told("test_qemu_is_killed")

    assert (tag, message) == ("error", "QEMU of the machine reference was killed by signal 9")
    assert {"serial.log", "qemu.log", "winrm.json", "host.json"} <= set(evidence)


def test_a_network_that_is_lost(told):
    tag, message, evidence = told("test_the_network_is_lost")

    assert tag == "error"
    assert "WinRM" in message
    assert json.loads(evidence["qmp.json"])["status"]["status"] == "running"


def test_a_daemon_that_is_killed(told):
    tag, message, evidence = told("test_the_daemon_is_killed")

    assert tag == "error"
    assert "WinRM" in message or "connection" in message
    assert "the daemon ended with exit code" in evidence["serial.log"]


def test_a_guest_without_progress(told):
    tag, message, evidence = told("test_the_guest_makes_no_progress")

    assert (tag, message) == ("error", "the guest 'reference' stopped answering WinRM when asked to run 'ver'")
    assert json.loads(evidence["qmp.json"])["status"]["status"] == "paused"


def test_a_guest_that_shuts_down(told):
    tag, message, _ = told("test_the_guest_shuts_down")

    assert (tag, message) == ("error", "the guest reference shut itself down (guest-shutdown)")


def test_a_clock_that_jumps(told):
    assert told("test_the_clock_jumps")[0] == "passed"


def test_a_driver_that_crashes(told):
    tag, message, _ = told("test_a_driver_crashes")

    assert tag == "failure"
    assert message.startswith("bug check SYSTEM_SERVICE_EXCEPTION (0x3B) in driver fltlab-crash")


def test_a_stalled_disk_stalls_the_operation_and_never_winrm(told):
    tag, message, _ = told("test_the_data_disk_stalls")

    assert (tag, message) == ("passed", "")


def test_whatever_dies_the_next_test_has_a_guest_of_its_own_and_nothing_is_left(died):
    project, code, output = died

    assert (project.case("test_nothing_happens")[0], project.case("test_nothing_happens_any_more")[0]) == (
        "passed",
        "passed",
    )
    assert code == ExitCode.FAILED, output
    project.assert_nothing_is_left()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_a_run_that_is_ended_by_a_signal_takes_its_machines_with_it(project, how: signal.Signals):
    project.test("""
        def test_before(guest):
            assert guest.run("ver").ok

        def test_it(guest):
            reach()
    """)

    code, output = project.interrupt(how, REFERENCE)

    assert code == (-signal.SIGKILL if how is signal.SIGKILL else ExitCode.INTERRUPTED), output
    assert [record.name for record in project.journal] == ["test_before"]
    project.assert_nothing_is_left()
