r"""Large files over SFTP. No command ever goes this way: what the guest does, it does over WinRM.

The server must show the key that the guest was given. Paths are Windows paths, and lead nowhere but below a drive of
the guest.
"""

import base64
import contextlib
import io
import logging
import os
import re
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath, PureWindowsPath
from types import TracebackType
from typing import BinaryIO, Self

import paramiko

from harness.errors import GuestError
from harness.guest.command import CommandResult
from harness.guest.endpoint import SshEndpoint
from harness.guest.errors import ConnectionLost, CredentialsRefused, NoAnswer, TransferError, Unreachable
from harness.machine.deadlines import Deadline, DeadlineError, Deadlines, Wait

_FORBIDDEN = frozenset('<>:"|?*') | {chr(code) for code in range(32)}
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])( *\..*)?", re.IGNORECASE)
"""Names that are devices in every folder, whatever extension follows (Windows' naming conventions)."""
_PATIENCE = 2.0
"""Seconds for one try to connect at first: what was sent before the guest could hear it comes much later."""
_SHA256 = re.compile(r"^[0-9a-f]{64}$")

# Its threads log tracebacks of what is raised here anyway.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class SftpSession:
    """A connection to a guest's SFTP server, open while it is entered. `check` raises if the guest has died."""

    def __init__(
        self,
        endpoint: SshEndpoint,
        name: str = "the guest",
        deadlines: Deadlines | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.endpoint = endpoint
        self.name = name
        self._deadlines = deadlines or Deadlines()
        self._check = check
        self._transport: paramiko.Transport | None = None
        self._client: paramiko.SFTPClient | None = None

    def __enter__(self) -> Self:
        """Connect; Unreachable, CredentialsRefused, or GuestError if another server answers."""
        deadline = self._deadlines.begin(Wait.SSH)
        try:
            self._transport = deadline.poll(lambda: self._try(deadline))
        except DeadlineError as error:
            raise Unreachable(
                f"{self.name} cannot be reached over SFTP",
                details=(f"at {self.endpoint}", error.message, *error.details),
                hint="has its image an SSH server, and is the port the one that is forwarded to its 22?",
            ) from error
        try:
            with self._telling("start SFTP"):
                self._client = paramiko.SFTPClient.from_transport(self._transport)
                channel = self._sftp.get_channel()
                assert channel is not None
                channel.settimeout(self._deadlines.seconds(Wait.SFTP))
        except BaseException:
            self._transport.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._transport is not None:
            self._transport.close()
        self._transport = self._client = None

    def put(self, source: BinaryIO, size: int, windows_path: str) -> None:
        """Write a file of this size; folders that are missing are made, and half a file is never left."""
        with self._telling(f"write {windows_path}"):
            place = self._locate(windows_path, make=True)
            scratch = place.with_name(f".fltlab-{os.urandom(4).hex()}")
            try:
                self._sftp.putfo(source, str(scratch), size, confirm=True)
                self._sftp.posix_rename(str(scratch), str(place))
            except BaseException:
                with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                    self._sftp.remove(str(scratch))
                raise

    def get(self, windows_path: str, target: BinaryIO) -> None:
        """Read a file into `target`."""
        with self._telling(f"read {windows_path}"):
            self._sftp.getfo(str(self._locate(windows_path, make=False)), target)

    # -- paths

    def _locate(self, windows_path: str, *, make: bool) -> PurePosixPath:
        """The server's path for one of the guest's, matched without case; a link on the way leads nowhere."""
        drive, parts = split(windows_path)
        root = self.endpoint.drives.get(drive)
        if root is None:
            known = ", ".join(f"{letter}:" for letter in sorted(self.endpoint.drives))
            raise TransferError(f"{windows_path} is on no drive of {self.name}", details=(f"it has {known}",))
        place = PurePosixPath(root)
        for number, part in enumerate(parts, start=1):
            place, found = self._child(place, part)
            if found is not None and stat.S_ISLNK(found):
                raise TransferError(f"{windows_path} leads over a link in {self.name}", details=(f"it is {place}",))
            if found is None and make and number < len(parts):
                self._sftp.mkdir(str(place))
        return place

    def _child(self, folder: PurePosixPath, name: str) -> tuple[PurePosixPath, int | None]:
        """The entry of this name, and its mode if it is there."""
        try:
            return folder / name, self._sftp.lstat(str(folder / name)).st_mode
        except FileNotFoundError:
            for entry in self._sftp.listdir_attr(str(folder)):
                if entry.filename.casefold() == name.casefold():
                    return folder / entry.filename, entry.st_mode
        return folder / name, None

    # -- the connection

    @property
    def _sftp(self) -> paramiko.SFTPClient:
        if self._client is None:
            raise GuestError(f"the SFTP session of {self.name} is not open")
        return self._client

    def _try(self, deadline: Deadline) -> tuple[paramiko.Transport | None, str]:
        """One try to come in; what was seen if it is worth another."""
        self._check()
        patience = min(_PATIENCE + deadline.elapsed, max(0.1, deadline.remaining))
        try:
            connection = socket.create_connection((self.endpoint.host, self.endpoint.port), timeout=patience)
        except ConnectionRefusedError as error:  # nobody forwards this port: waiting will not help
            raise Unreachable(
                f"{self.name} cannot be reached over SFTP",
                details=(f"at {self.endpoint}", f"last seen: {error}"),
                hint="is the guest running, and the port the one that is forwarded to its 22?",
            ) from error
        except OSError as error:
            return None, str(error)
        try:
            transport = paramiko.Transport(connection)
        except (OSError, paramiko.SSHException) as error:
            connection.close()
            return None, str(error)
        try:
            seen = self._come_in(transport, patience)
        except BaseException:
            transport.close()
            raise
        if seen:
            transport.close()
            return None, seen
        return transport, "let in"

    def _come_in(self, transport: paramiko.Transport, patience: float) -> str:
        """Check the server's key and prove who we are; returns what went wrong if that may pass, else nothing."""
        kind, expected = self.endpoint.host_key.split()[:2]
        transport.get_security_options().key_types = (kind,)
        transport.banner_timeout, transport.auth_timeout = patience, self._deadlines.seconds(Wait.SFTP)
        try:
            transport.start_client(timeout=self._deadlines.seconds(Wait.SFTP))  # at its end it just returns
            shown = transport.get_remote_server_key().asbytes()
        except (OSError, EOFError, paramiko.SSHException) as error:
            return f"{type(error).__name__}: {error}"
        if shown != base64.b64decode(expected):
            raise Unreachable(
                f"{self.name} cannot be reached over SFTP: another server answers at its port",
                details=(
                    f"at {self.endpoint}",
                    f"its key:     {_fingerprint(shown)}",
                    f"the guest's: {_fingerprint(base64.b64decode(expected))}",
                ),
                hint="see who has the port that is forwarded to the guest's 22",
            )
        try:
            transport.auth_publickey(
                self.endpoint.user, paramiko.Ed25519Key.from_private_key(io.StringIO(self.endpoint.private_key))
            )
        except paramiko.AuthenticationException as error:
            raise CredentialsRefused(
                f"{self.name} did not take the key of user {self.endpoint.user!r} over SFTP",
                details=(f"at {self.endpoint}", f"last seen: {error}"),
            ) from error
        except (OSError, EOFError, paramiko.SSHException) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    @contextlib.contextmanager
    def _telling(self, purpose: str) -> Iterator[None]:
        """Turn what paramiko raises into our errors."""
        try:
            yield
        except TimeoutError as error:
            raise NoAnswer(
                f"{self.name} stopped answering SFTP when asked to {purpose}",
                details=(f"at {self.endpoint}", f"no answer for {self._deadlines.seconds(Wait.SFTP):g} s"),
            ) from error
        except (EOFError, paramiko.SSHException, OSError) as error:
            said = str(error) or type(error).__name__
            if isinstance(error, OSError) and self._transport is not None and self._transport.is_active():
                raise TransferError(
                    f"{self.name} could not {purpose}", details=(f"at {self.endpoint}", f"it says: {said}")
                ) from error
            raise ConnectionLost(
                f"the connection to {self.name} broke when it was asked to {purpose}",
                details=(f"at {self.endpoint}", f"last seen: {said}"),
            ) from error


def split(windows_path: str) -> tuple[str, tuple[str, ...]]:
    """The drive's letter and the names below it; TransferError for what is no plain full path of a file."""
    path = PureWindowsPath(windows_path)
    drive, parts = path.drive.rstrip(":").upper(), path.parts[1:]
    plain = path.is_absolute() and len(drive) == 1 and bool(parts) and all(map(_is_plain_name, parts))
    if not plain:
        raise TransferError(f"{windows_path!r} is no full path of the guest", hint=r"a path such as C:\fltlab\file.bin")
    return drive, parts


def _is_plain_name(part: str) -> bool:
    return part == part.rstrip(". ") and not set(part) & _FORBIDDEN and not _DEVICE.fullmatch(part)


def digest_command(windows_path: str) -> str:
    """The command, of both kinds of guest, that prints a file's SHA-256."""
    return f'certutil.exe -hashfile "{windows_path}" SHA256'


def require_digest(windows_path: str, expected: str, result: CommandResult) -> None:
    """Raise TransferError unless the digest that the guest has printed is the expected one."""
    lines = (line.replace(" ", "").strip().lower() for line in result.output.splitlines())  # Windows 8 puts blanks
    arrived = next((line for line in lines if _SHA256.match(line)), "nothing")
    if not result.ok or arrived != expected:
        raise TransferError(
            f"{windows_path} did not arrive as it was sent",
            details=(f"sent:    {expected}", f"arrived: {arrived}", *result.describe()),
        )


def _fingerprint(key: bytes) -> str:
    return str(paramiko.PKey.from_type_string("ssh-ed25519", key).fingerprint) if b"ssh-ed25519" in key else "unknown"
