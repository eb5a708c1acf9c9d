"""Large files over SFTP, to a real dropbear with a real sftp-server: its key is known, and paths are confined."""

import contextlib
import hashlib
import io
import os
import pwd
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import ExitCode, GuestError
from harness.guest import REFERENCE, Guest, LocalGuest, SshEndpoint
from harness.guest import guest as guest_module
from harness.guest.command import CommandResult
from harness.guest.errors import ConnectionLost, CredentialsRefused, NoAnswer, TransferError, Unreachable
from harness.guest.sftp import SftpSession, require_digest, split
from harness.image.reference.boot import SshKeys
from harness.machine.deadlines import Wait
from harness.minifilter.toolchain import find_toolchain
from tests.limits import HANG, Impatient, until
from tests.ports import port_without_a_listener
from tests.processes import children, kill, stop

ACCOUNT = pwd.getpwuid(os.geteuid())


# Dropbear looks for authorized_keys in the user's home, and nowhere else: this gives it another home.
ANOTHER_HOME = """
struct passwd { char *name, *password; unsigned uid, gid; char *gecos, *dir, *shell; };
void *dlsym(void *, const char *);
char *getenv(const char *);
struct passwd *getpwnam(const char *name) {
    struct passwd *(*next)(const char *) = (struct passwd *(*)(const char *))dlsym((void *)-1, "getpwnam");
    struct passwd *entry = next(name);
    if (entry) entry->dir = getenv("TEST_HOME");
    return entry;
}
"""


def another_home(folder: Path) -> Path:
    """The library that does so."""
    (folder / "home.c").write_text(ANOTHER_HOME)
    library = folder / "home.so"
    options = ["-shared", "-fPIC", "-nostdlib", "-fuse-ld=lld", "-o", str(library), str(folder / "home.c")]
    subprocess.run([find_toolchain().clang, *options], check=True)
    return library


@contextlib.contextmanager
def dropbear(folder: Path, keys: SshKeys, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Dropbear as the reference guest starts it; it sees a home of our own instead of the user's."""
    home = folder / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700, exist_ok=True)
    (home / ".ssh" / "authorized_keys").write_text(keys.authorized_key() + "\n")
    key = folder / "host_key"
    key.write_bytes(keys.host_key_for_dropbear())
    words = ["dropbear", "-F", "-E", "-s", "-p", f"127.0.0.1:{port}", "-r", str(key), "-P", str(folder / "pid")]
    environment = {
        "PATH": f"{os.environ['PATH']}:/usr/sbin",
        "LD_PRELOAD": str(another_home(folder)),
        "TEST_HOME": str(home),
    }
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(words, stderr=log, env=environment, start_new_session=True) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def strike(server: "subprocess.Popen[bytes]", how: Callable[[int], None]) -> None:
    """Do something to the processes that serve connections; dropbear has one for each."""
    for pid in children(server.pid):
        with contextlib.suppress(ProcessLookupError):
            how(pid)


@pytest.fixture(scope="module")
def keys() -> SshKeys:
    return SshKeys()


@pytest.fixture(scope="module")
def server(keys: SshKeys, tmp_path_factory: pytest.TempPathFactory, guest: LocalGuest) -> Iterator[SshEndpoint]:
    """An SSH server whose drives are those of the local guest."""
    with (
        port_without_a_listener() as port,
        dropbear(tmp_path_factory.mktemp("dropbear"), keys, port),
    ):
        answers(port)
        yield SshEndpoint(
            port=port,
            user=ACCOUNT.pw_name,
            host_key=keys.host_public_key(),
            private_key=keys.client_private_key(),
            drives={"C": str(guest.system), "V": str(guest.volume)},
        )


def answers(port: int) -> None:
    """Wait until a server listens."""

    def look() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=HANG) as connection:
            return connection.recv(3) == b"SSH"
        return False

    until(look, "dropbear to answer")


@pytest.fixture
def session(server: SshEndpoint) -> Iterator[SftpSession]:
    with SftpSession(server) as session:
        yield session


def put(session: SftpSession, content: bytes, path: str) -> None:
    session.put(io.BytesIO(content), len(content), path)


@pytest.mark.parametrize("size", [0, 1, 32768, 3_000_001])
def test_a_file_of_any_size_arrives_and_comes_back_as_it_was(session: SftpSession, guest: LocalGuest, size: int):
    content = os.urandom(size)
    put(session, content, r"V:\deep\er\large.bin")
    back = io.BytesIO()

    session.get(r"V:\deep\er\large.bin", back)

    assert back.getvalue() == content
    assert (guest.volume / "deep/er/large.bin").read_bytes() == content


def test_names_are_found_without_case_as_winrm_finds_them(session: SftpSession, guest: LocalGuest):
    put(session, b"one", r"C:\fltlab\Case.bin")
    put(session, b"two", r"c:\FLTLAB\cASE.BIN")

    assert guest.get(r"C:\fltlab\case.bin") == b"two"
    assert [path.name for path in (guest.system / "fltlab").iterdir() if path.name.lower() == "case.bin"] == [
        "Case.bin"
    ]


@pytest.mark.parametrize(
    "path",
    [r"V:\..\outside", r"V:\a\..\..\outside", r"\outside", "outside", "V:outside", "V:", "V:\\", r"V:\a:stream",
     "V:\\a\n", r"V:\a?", r"\\server\share\a", r"\\?\V:\a", r"V:\nul", r"V:\com1.log", r"V:\aux\a",
     r"V:\a.", "V:\\a \\b"],
)  # fmt: skip
def test_a_path_that_is_not_plain_is_refused_before_anything_is_sent(path: str):
    with pytest.raises(TransferError, match="no full path"):
        split(path)


def test_a_drive_that_the_guest_lacks_is_named(session: SftpSession):
    with pytest.raises(TransferError, match="on no drive") as error:
        put(session, b"", r"X:\a")
    assert "C:, V:" in str(error.value)


def test_a_link_leads_nowhere(session: SftpSession, guest: LocalGuest, tmp_path: Path):
    (guest.volume / "link").symlink_to(tmp_path)

    with pytest.raises(TransferError, match="over a link"):
        put(session, b"x", r"V:\link\outside")
    with pytest.raises(TransferError, match="over a link"):
        session.get(r"V:\LINK", io.BytesIO())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_told(session: SftpSession):
    with pytest.raises(TransferError, match=r"could not read V:\\nothing") as error:
        session.get(r"V:\nothing", io.BytesIO())
    assert "No such file" in str(error.value)


def test_a_file_that_breaks_off_leaves_nothing_behind(session: SftpSession, guest: LocalGuest):
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise RuntimeError("the host's disk")

    with pytest.raises(RuntimeError, match="the host's disk"):
        session.put(Broken(), 10, r"V:\half\of.bin")
    assert list((guest.volume / "half").iterdir()) == []


# -- who answers


def test_a_server_with_another_key_is_not_talked_to(server: SshEndpoint):
    stranger = replace(server, host_key=SshKeys().host_public_key())

    with pytest.raises(Unreachable, match="another server answers") as error, SftpSession(stranger):
        pass

    assert re.search(r"its key: +SHA256:", str(error.value))
    assert error.value.exit_code is ExitCode.HOST


def test_a_key_that_the_server_does_not_know_is_refused_at_once(server: SshEndpoint):
    with (
        pytest.raises(CredentialsRefused) as error,
        SftpSession(replace(server, private_key=SshKeys().client_private_key())),
    ):
        pass

    assert "PRIVATE KEY" not in str(error.value) + repr(server)


def test_a_port_that_nobody_listens_on_is_said_at_once(server: SshEndpoint):
    with (
        port_without_a_listener() as port,
        pytest.raises(Unreachable, match="cannot be reached over SFTP"),
        SftpSession(replace(server, port=port)),
    ):
        pass


def test_a_server_that_says_nothing_is_given_up(server: SshEndpoint):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = replace(server, port=silent.getsockname()[1])
        with (
            pytest.raises(Unreachable, match="cannot be reached over SFTP"),
            SftpSession(endpoint, deadlines=Impatient(only={Wait.SSH: 1.0, Wait.SFTP: 1.0})),
        ):
            pass


def test_a_death_of_the_guest_ends_the_wait(server: SshEndpoint):
    def check() -> None:
        raise GuestError("QEMU has ended")

    with pytest.raises(GuestError, match="QEMU has ended"), SftpSession(server, check=check):
        pass


# -- in the middle


class Stops(io.BytesIO):
    """A file whose second half is read after something has happened to the server."""

    def __init__(self, size: int, happens) -> None:
        super().__init__(bytes(size))
        self.happens = happens

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > (1 << 20) and self.happens is not None:
            self.happens, happens = None, self.happens
            happens()
        return super().read(size)


def server_of_my_own(server: SshEndpoint, keys: SshKeys, folder: Path, scope: contextlib.ExitStack):
    port = scope.enter_context(port_without_a_listener())
    process = scope.enter_context(dropbear(folder, keys, port))
    answers(port)
    return replace(server, port=port), process


def test_a_connection_that_breaks_in_the_middle_is_lost(server: SshEndpoint, keys: SshKeys, tmp_path: Path):
    with contextlib.ExitStack() as scope:
        endpoint, process = server_of_my_own(server, keys, tmp_path, scope)
        session = scope.enter_context(SftpSession(endpoint))
        with pytest.raises(ConnectionLost, match=r"write V:\\broken"):
            session.put(Stops(4 << 20, lambda: strike(process, kill)), 4 << 20, r"V:\broken")


def test_a_server_that_stops_in_the_middle_is_not_waited_for_for_ever(
    server: SshEndpoint, keys: SshKeys, tmp_path: Path
):
    with contextlib.ExitStack() as scope:
        endpoint, process = server_of_my_own(server, keys, tmp_path, scope)
        session = scope.enter_context(SftpSession(endpoint))
        session._sftp.get_channel().settimeout(1.0)  # type: ignore[union-attr]
        scope.callback(strike, process, kill)
        with pytest.raises(NoAnswer):
            session.put(Stops(8 << 20, lambda: strike(process, stop)), 8 << 20, r"V:\stopped")


# -- the guest's way


@pytest.fixture
def with_ssh(guest: LocalGuest, server: SshEndpoint) -> Guest:
    return Guest("with SSH", REFERENCE, guest.endpoint, ssh=server)


def test_a_large_file_goes_over_sftp_and_is_checked_over_winrm(
    with_ssh: Guest, guest: LocalGuest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(guest_module, "LARGE", 1 << 20)
    large = tmp_path / "large"
    large.write_bytes(os.urandom(1 << 20))

    with_ssh.put(large, r"V:\from the host\large.bin")

    assert (guest.volume / "from the host/large.bin").read_bytes() == large.read_bytes()
    assert not any("fltlab-receive" in exchange.purpose for exchange in with_ssh.exchanges)
    back = tmp_path / "back"
    with_ssh.get_by_sftp(r"V:\from the host\large.bin", back)
    assert back.read_bytes() == large.read_bytes()


def test_a_small_file_goes_over_winrm_even_where_there_is_ssh(guest: LocalGuest, server: SshEndpoint, tmp_path: Path):
    small = tmp_path / "small"
    small.write_bytes(b"small")
    with port_without_a_listener() as port:
        with_broken_ssh = Guest("broken SSH", REFERENCE, guest.endpoint, ssh=replace(server, port=port))

        with_broken_ssh.put(small, r"V:\small")

    assert (guest.volume / "small").read_bytes() == b"small"


def test_a_guest_without_ssh_says_so(guest: LocalGuest, tmp_path: Path):
    with pytest.raises(GuestError, match="has no SSH server"):
        guest.get_by_sftp(r"V:\a", tmp_path / "a")


def test_what_arrived_otherwise_than_it_was_sent_is_told():
    digest = hashlib.sha256(b"sent").hexdigest()
    windows_8 = " ".join(digest[at : at + 2] for at in range(0, 64, 2))
    for text in (digest, windows_8):
        printed = f"SHA256 hash of C:\\a:\r\n{text}\r\nCertUtil: -hashfile command completed successfully.\r\n"
        result = CommandResult("certutil", 0, printed.encode(), b"")
        require_digest(r"C:\a", digest, result)
        with pytest.raises(TransferError, match="did not arrive"):
            require_digest(r"C:\a", hashlib.sha256(b"other").hexdigest(), result)
