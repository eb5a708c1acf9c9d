"""The reference guest as it is delivered: real image, real guest code, forks with identities of their own."""

import os
import socket
import threading
import time
from io import StringIO

import paramiko
import pytest

from harness.errors import GuestError
from harness.fleet.reference_guest import wait_until_it_answers
from harness.guest import REFERENCE, Endpoint, Guest
from harness.guest.errors import CredentialsRefused
from harness.guest.identity import parse_identity
from harness.guest.winrm import WinRmSession
from harness.host.accelerator import choose
from harness.image import reference
from harness.image.reference.boot import SSH_PORT, WINRM_PORT
from harness.machine.deadlines import Deadlines, Wait
from harness.machine.reach import wait_for_answer
from harness.machine.template_store import ColdBoot, TemplateStore
from tests.limits import HANG

SECRETS = "secrets"


def endpoint(machine, secrets):
    account = secrets.configuration
    return Endpoint(port=machine.ports[WINRM_PORT], user=account.user, password=account.password)


@pytest.fixture(scope="module")
def deadlines():
    return Deadlines.measured(choose())


@pytest.fixture(scope="module")
def template(deadlines):
    secrets = reference.GuestSecrets()
    spec = reference.machine_spec(reference.build(), reference.payload(), choose().accelerator)

    def prepare(machine):
        # With its kernel started, as templates of runs are: else each fork would have to load all of it anew.
        wait_until_it_answers(machine, secrets, deadlines.begin(Wait.BOOT))
        return {SECRETS: secrets.to_bytes()}

    store = TemplateStore(deadlines=deadlines)
    template = store.get_or_make(ColdBoot(spec, secrets.firmware_files()), {"for": "tests/image", "kernel": 1}, prepare)
    yield template
    template.release()


@pytest.fixture
def woken(template, tmp_path, deadlines):
    """A function that gives forks which do not know yet that they are, with the template's secrets."""
    machines = []

    def make():
        machine = template.fork(tmp_path / f"fork-{len(machines)}", deadlines=deadlines)
        machines.append(machine)
        wait_for_answer(machine, WINRM_PORT, deadlines.begin(Wait.FORK))
        return machine, reference.GuestSecrets.from_bytes(template.file(SECRETS))

    yield make
    for machine in machines:
        machine.kill()


def take_on(machine, frozen, own):
    with WinRmSession(endpoint(machine, frozen)) as session:
        result = session.run("fltlab-guest forked", own.for_fork(time.time(), os.urandom(64)))
        assert result.ok, result.describe()


@pytest.fixture
def forked(woken):
    """A function that gives forks which have taken on an identity of their own, with their secrets."""

    def make():
        machine, frozen = woken()
        own = reference.GuestSecrets()
        take_on(machine, frozen, own)
        return machine, own

    return make


def identity(machine, secrets):
    with WinRmSession(endpoint(machine, secrets)) as session:
        return parse_identity(session.run(REFERENCE.identity))


def test_forks_begin_with_the_same_identity_and_random_numbers_which_is_why_they_get_their_own(woken):
    seen = [identity(*woken()) for _ in range(2)]
    assert seen[0].boot_id == seen[1].boot_id


def test_each_fork_has_a_boot_id_of_its_own_and_random_numbers_like_no_other(forked):
    forks = [forked() for _ in range(4)]
    seen = [identity(*fork) for fork in forks]
    assert [each.boot_id for each in seen] == [secrets.configuration.boot_id for _, secrets in forks]
    assert len({each.boot_id for each in seen}) == 4
    assert len({each.random for each in seen}) == 4


def test_random_numbers_differ_even_where_two_forks_are_told_the_same(woken):
    own = reference.GuestSecrets()
    seen = []
    for entropy in (b"\1" * 64, b"\2" * 64):
        machine, frozen = woken()
        with WinRmSession(endpoint(machine, frozen)) as session:
            assert session.run("fltlab-guest forked", own.for_fork(time.time(), entropy)).ok
        seen.append(identity(machine, own).random)
    assert seen[0] != seen[1]


def test_the_clock_of_a_fork_is_the_hosts(woken):
    machine, frozen = woken()
    own = reference.GuestSecrets()
    ordered = time.time()
    take_on(machine, frozen, own)
    told = identity(machine, own).time
    # Not since the template was made, which may be days: since the order to set it, which may have taken its time.
    assert ordered - 2 < told < time.time() + 2


def test_a_fork_refuses_the_password_of_its_template(woken):
    machine, frozen = woken()
    take_on(machine, frozen, reference.GuestSecrets())
    with pytest.raises(CredentialsRefused):
        identity(machine, frozen)


def patient(connection: socket.socket) -> paramiko.Transport:
    """A transport that waits for a guest on a busy machine; paramiko's own patience is 15 s."""
    transport = paramiko.Transport(connection)
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = HANG
    return transport


def test_a_fork_lets_in_by_its_own_ssh_key_and_shows_its_own_host_key(forked, woken, template):
    machine, own = forked()
    key = paramiko.Ed25519Key.from_private_key(StringIO(own.ssh.client_private_key()))
    wait_for_answer(machine, SSH_PORT, machine.deadlines.begin(Wait.FORK), request=b"SSH-2.0-probe\r\n")
    with socket.create_connection(("127.0.0.1", machine.ports[SSH_PORT]), timeout=HANG) as connection:
        transport = patient(connection)
        transport.connect(username="root", pkey=key)
        assert transport.get_remote_server_key().get_base64() in own.ssh.host_public_key()
        with paramiko.SFTPClient.from_transport(transport) as sftp:
            with sftp.open("/volume/large", "wb") as file:
                file.write(b"x" * (1 << 20))
            assert sftp.stat("/volume/large").st_size == 1 << 20
        transport.close()


def test_a_file_that_went_into_a_fork_over_sftp_is_there_for_its_commands(forked, tmp_path):
    machine, own = forked()
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(os.urandom(3 << 20))
    ssh = own.ssh_endpoint(machine.ports[SSH_PORT])
    with Guest("fork", REFERENCE, endpoint(machine, own), machine, ssh=ssh) as guest:
        guest.put_by_sftp(source, r"V:\Large\file.bin")
        guest.put(b"over WinRM", r"C:\fltlab\small.bin")

        assert guest.run(r"dir /b v:\large").output == "file.bin\n"
        guest.get_by_sftp(r"V:\large\FILE.bin", back)
        assert back.read_bytes() == source.read_bytes()
        guest.get_by_sftp(r"C:\fltlab\small.bin", back)
        assert back.read_bytes() == b"over WinRM"


def test_the_ssh_key_of_the_template_opens_no_fork(forked, template):
    machine, _ = forked()
    frozen = reference.GuestSecrets.from_bytes(template.file(SECRETS))
    key = paramiko.Ed25519Key.from_private_key(StringIO(frozen.ssh.client_private_key()))
    wait_for_answer(machine, SSH_PORT, machine.deadlines.begin(Wait.FORK), request=b"SSH-2.0-probe\r\n")
    with socket.create_connection(("127.0.0.1", machine.ports[SSH_PORT]), timeout=HANG) as connection:
        transport = patient(connection)
        with pytest.raises(paramiko.AuthenticationException):
            transport.connect(username="root", pkey=key)
        transport.close()


def test_several_commands_run_at_a_time_in_one_guest(forked):
    machine, own = forked()
    answers = []

    def ask():
        answers.append(identity(machine, own).boot_id)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)
    assert answers == [own.configuration.boot_id] * 4


def test_a_guest_whose_port_leads_nowhere_says_so(forked):
    machine, own = forked()
    machine.kill()
    with Guest("fork", REFERENCE, endpoint(machine, own), machine) as guest, pytest.raises(GuestError):
        guest.run("hostname")
