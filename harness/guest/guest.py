"""One guest from the outside: run a command, put and get files, know which boot answered, and say why it broke."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from harness.errors import ConfigurationError, DriverError, FltLabError, GuestError
from harness.guest.command import CommandResult
from harness.guest.crash import (
    kernel_error,
    parse_coverage,
    parse_status,
    stopped_kernel,
    told_callbacks,
    told_findings,
    without_mark,
)
from harness.guest.endpoint import Endpoint, SshEndpoint
from harness.guest.errors import (
    CommandFailed,
    CommandTimeout,
    ConnectionLost,
    CredentialsRefused,
    NoAnswer,
    Unreachable,
)
from harness.guest.exchange import Exchanges
from harness.guest.identity import Identity, parse_identity, require_boot
from harness.guest.kernel import KernelOptions
from harness.guest.profiles import GuestKind, Profile
from harness.guest.state import GuestState, only_in
from harness.guest.transfer import file_sha256, pack, require_copied, require_written, sha256, verify
from harness.guest.winrm import WinRmSession
from harness.machine.deadlines import POLL_SECONDS, Deadline, Deadlines, Wait
from harness.wire.codec import decode, encode, to_data
from harness.wire.kernel import Coverage
from harness.wire.kernel_state import KernelState, SeenCallbacks, State
from harness.wire.schedule import Followed, Plan

if TYPE_CHECKING:
    from harness.guest.payload import PayloadDrive
    from harness.guest.selftest import Finding
    from harness.guest.sftp import SftpSession
    from harness.machine.machine import Machine

LARGE = 64 * 1024 * 1024
"""Bytes from which on a file goes over SFTP or on a CD: only a piece of it is in memory. Below, WinRM is quicker."""


class Body(Protocol):
    """What a guest runs in: a QEMU machine, or a local process."""

    def check(self) -> None:
        """Raise the first cause if it has died or panicked."""

    def describe(self) -> str:
        """One line about what it does now."""

    def savers(self) -> Mapping[str, Callable[[Path], object]]:
        """What can be saved of it when something went wrong: by the file's name, how; in the order of saving."""

    def qemu(self) -> "Machine":
        """The machine of QEMU that it is or runs in; GuestError if it is none."""


@runtime_checkable
class Mortal(Body, Protocol):
    """A body that tells of its death by itself: nobody need wait for what will not be answered."""

    deadlines: Deadlines

    def on_death(self, callback: Callable[[], None]) -> None:
        """Have a function called when the first cause is known."""


class Guest:
    """A guest whose WinRM service is reached at `endpoint`.

    `drivers_under_test` are the names of the drivers that are loaded; a guest that goes down with one of them in it is
    that driver's failure. Any error that means that the guest is lost is remembered, and raised again by every further
    use: what came first is what counts.
    """

    def __init__(
        self,
        name: str,
        profile: Profile,
        endpoint: Endpoint,
        body: Body | None = None,
        deadlines: Deadlines | None = None,
        ssh: SshEndpoint | None = None,
        cd: "PayloadDrive | None" = None,
        session: WinRmSession | None = None,
    ) -> None:
        self.name = name
        self.profile = profile
        self.endpoint = endpoint
        self.ssh = ssh
        self.cd = cd
        self.body = body
        self.drivers_under_test: tuple[str, ...] = ()
        self.commands = 0
        """How many it was asked to run."""
        self.findings: int | None = None
        """How many findings the verifier of its kernel has, if the last command told."""
        self.seen = SeenCallbacks()
        """What its kernel has seen of watched minifilters during the last command, also one that it stopped in."""
        self.deadlines = deadlines or (body.deadlines if isinstance(body, Mortal) else Deadlines())
        self._session = session or WinRmSession(endpoint, f"the guest {name!r}", self.deadlines)
        if isinstance(body, Mortal):
            body.on_death(self._session.break_off)
        self._state = GuestState.READY
        self._first_cause: FltLabError | None = None
        self._kernel_stopped = False
        self._last_kernel: KernelState | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def kind(self) -> GuestKind:
        """What the guest is."""
        return self.profile.kind

    @property
    def state(self) -> GuestState:
        """What is known of it."""
        return self._state

    @property
    def first_cause(self) -> FltLabError | None:
        """What broke it, if anything did."""
        return self._first_cause

    # -- commands

    @only_in(GuestState.READY)
    def run(
        self, command: str, stdin: bytes | None = None, timeout: float | Wait = Wait.GUEST_COMMAND
    ) -> CommandResult:
        """Run a command line and wait for its end, whatever its exit code.

        Raises DriverError if the guest went down with a driver under test in it, GuestError if it is lost otherwise.
        """
        self.commands += 1
        self.findings, self.seen = None, SeenCallbacks()
        try:
            result = self._session.run(command, stdin, timeout)
        except (Unreachable, ConnectionLost, CredentialsRefused) as error:
            raise self._broken(self._first_cause_of(error)) from error
        except CommandTimeout as error:
            cause = self._first_cause_of(error)
            if cause is error:
                raise
            raise self._broken(cause) from error
        stopped = stopped_kernel(result)
        if stopped is not None:
            self._kernel_stopped = True
            self._last_kernel, self.seen = stopped, stopped.seen
            raise self._broken(kernel_error(stopped, self.drivers_under_test, without_mark(result).describe()))
        death = self._death(0.0)
        if death is not None:  # what it answered nevertheless proves nothing
            raise self._broken(death)
        result, self.findings = told_findings(result)
        result, self.seen = told_callbacks(result)
        return result

    def succeed(
        self, command: str, stdin: bytes | None = None, timeout: float | Wait = Wait.GUEST_COMMAND
    ) -> CommandResult:
        """Run a command line that must end with exit code 0; CommandFailed has what it printed."""
        result = self.run(command, stdin, timeout)
        if not result.ok:
            raise CommandFailed(f"a command failed in the guest {self.name!r}", details=result.describe())
        return result

    # -- files

    def put(self, source: Path | bytes, windows_path: str, timeout: float | Wait = Wait.GUEST_COMMAND) -> None:
        """Put one file, or these bytes, at a path of the guest; a large file goes over SFTP or on a CD where it can."""
        large = isinstance(source, Path) and source.stat().st_size >= LARGE
        if isinstance(source, Path) and large and self.ssh is not None:
            self.put_by_sftp(source, windows_path, timeout)
            return
        if isinstance(source, Path) and large and self.cd is not None:
            self.put_by_cd(source, windows_path, timeout)
            return
        self.put_all({windows_path: source if isinstance(source, bytes) else source.read_bytes()}, timeout)

    def put_all(self, files: Mapping[str, bytes], timeout: float | Wait = Wait.GUEST_COMMAND) -> None:
        """Put several files with one command; folders that are missing are made. Checked by SHA-256."""
        verify(files, self.run(self.profile.receive, pack(files), timeout))

    def put_and_run(
        self, files: Mapping[str, bytes], batch: str, timeout: float | Wait = Wait.GUEST_COMMAND
    ) -> CommandResult:
        """Put files, and run one of them, a batch file; what was printed before it are not its own words.

        A reference guest does both in one command: under TCG each one has its price.
        """
        if not self.profile.is_reference:
            self.put_all(files, timeout)
            return self.run(f"cmd.exe /c {batch}", timeout=timeout)
        result = self.run(f"{self.profile.receive} && {batch}", pack(files), timeout)
        require_written({path: sha256(content) for path, content in files.items()}, result)
        return result

    def get(self, windows_path: str, timeout: float | Wait = Wait.GUEST_COMMAND) -> bytes:
        """The content of a file of the guest."""
        result = self.run(self.profile.send.replace("{path}", windows_path), timeout=timeout)
        if not result.ok:
            raise CommandFailed(f"{windows_path} cannot be read in the guest {self.name!r}", details=result.describe())
        return result.stdout

    @only_in(GuestState.READY)
    def put_by_sftp(self, source: Path, windows_path: str, timeout: float | Wait = Wait.GUEST_COMMAND) -> None:
        """Put one file over SFTP, in pieces; checked by SHA-256. `timeout` is for the guest to read it again."""
        from harness.guest.sftp import digest_command, require_digest  # paramiko takes 0.2 s, and most runs need none

        with self._sftp() as session, source.open("rb") as file:
            session.put(file, source.stat().st_size, windows_path)
        require_digest(windows_path, file_sha256(source), self.run(digest_command(windows_path), timeout=timeout))

    @only_in(GuestState.READY)
    def get_by_sftp(self, windows_path: str, target: Path) -> None:
        """Get one file over SFTP, in pieces."""
        with self._sftp() as session, target.open("wb") as file:
            session.get(windows_path, file)

    @only_in(GuestState.READY)
    def put_by_cd(self, source: Path, windows_path: str, timeout: float | Wait = Wait.GUEST_COMMAND) -> None:
        """Put one file on a CD, which the guest copies it from; checked by SHA-256. `timeout` grows with its size."""
        from harness.guest.payload import copy_request, seconds_for  # pycdlib, which most runs need not

        if self.cd is None or self.profile.from_cd is None:
            raise GuestError(f"the guest {self.name!r} has no drive for CDs", hint="use put, which goes over WinRM")
        with self.cd.loaded(source) as label:
            patience = self.deadlines.of(timeout) + seconds_for(source.stat().st_size)
            result = self.run(self.profile.from_cd, copy_request(label, windows_path), patience)
        require_copied(windows_path, file_sha256(source), result)

    @contextlib.contextmanager
    def _sftp(self) -> Iterator["SftpSession"]:
        """A session of the guest's SFTP server; errors that mean that the guest is lost are remembered."""
        from harness.guest.sftp import SftpSession

        if self.ssh is None:
            raise GuestError(f"the guest {self.name!r} has no SSH server", hint="use put and get, which go over WinRM")
        check = self.body.check if self.body is not None else lambda: None
        try:
            with SftpSession(self.ssh, f"the guest {self.name!r}", self.deadlines, check) as session:
                yield session
        except (Unreachable, ConnectionLost, CredentialsRefused) as error:
            raise self._broken(self._first_cause_of(error)) from error

    # -- who it is

    def identity(self, boot_id: str | None = None) -> Identity:
        """Who answers; GuestError if it is not the boot with this id."""
        identity = parse_identity(self.succeed(self.profile.identity))
        if boot_id is not None:
            require_boot(identity, boot_id, self.name)
        return identity

    def another_session(self) -> WinRmSession:
        """A session of its own with this guest, whatever becomes of it."""
        return self._session.another()

    def host_time(self) -> float:
        """The host's time when the guest last answered: seconds since 1970."""
        return self._session.host_time()

    def last_checks(self, directory: Path) -> Iterator["Finding"]:
        """Checks of what only this kind of guest has, for its self-test; the guest need not survive them."""
        del directory
        return iter(())

    def describe(self) -> str:
        """One line for reports and errors."""
        body = f"; {self.body.describe()}" if self.body is not None else ""
        return f"{self.name} ({self.kind.value}) at {self.endpoint}: {self._state.value}{body}"

    # -- the reference kernel

    @only_in(GuestState.READY, GuestState.BROKEN)
    def restart_kernel(self, options: KernelOptions | None = None, timeout: float | Wait = Wait.GUEST_COMMAND) -> None:
        """Start the reference kernel of this guest anew, with nothing loaded: what a reboot is on Windows.

        This also mends a guest that was broken by its kernel and by nothing else.
        """
        if self.profile.kernel_restart is None:
            raise GuestError(f"the guest {self.name!r} has no reference kernel to restart ({self.kind.value})")
        if self._first_cause is not None and not self._kernel_stopped:
            raise self._first_cause
        self._mended()
        words = (options or KernelOptions()).words()
        self.succeed(" ".join([self.profile.kernel_restart, *words]), timeout=timeout)
        self.drivers_under_test = ()

    def _mended(self) -> None:
        """What its kernel did is undone."""
        self._state, self._first_cause, self._kernel_stopped = GuestState.READY, None, False
        self._last_kernel = None

    @only_in(GuestState.READY)
    def keep_point(self, services: Sequence[str]) -> None:
        """Have the reference kernel keep this point, to go back to; the schedules of these services are explored."""
        self.succeed(" ".join([self._schedules, "keep-point", *services]))

    @only_in(GuestState.READY, GuestState.BROKEN)
    def go_back(self, plan: Plan | None = None, *, keep: bool = True) -> None:
        """Have its kernel go back to that point, and on by a plan; without `keep` the point is forgotten.

        This also mends a guest that was broken by its kernel and by nothing else.
        """
        if self._first_cause is not None and not self._kernel_stopped:
            raise self._first_cause
        self._mended()
        words = [self._schedules, "go-back", *([] if keep else ["--forget"])]
        self.succeed(" ".join(words), encode(plan).encode() if plan is not None else b"")

    @only_in(GuestState.READY, GuestState.BROKEN)
    def followed(self) -> Followed:
        """How the run of its kernel has gone since it went back, also if it has stopped."""
        if self._first_cause is not None and not self._kernel_stopped:
            raise self._first_cause
        result = self._session.run(f"{self._schedules} followed", None, Wait.KERNEL_STATUS)
        return decode(Followed, result.stdout)

    @property
    def _schedules(self) -> str:
        if self.profile.kernel_schedules is None:
            raise ConfigurationError(f"the schedules of the guest {self.name!r} cannot be explored")
        return self.profile.kernel_schedules

    def kernel_status(self) -> KernelState | None:
        """How the reference kernel is; None for a guest that has none."""
        if self.profile.kernel_status is None:
            return None
        return parse_status(self.run(self.profile.kernel_status, timeout=Wait.KERNEL_STATUS))

    @only_in(GuestState.READY, GuestState.BROKEN)
    def take_coverage(self) -> Coverage:
        """Which code of drivers has run since this was asked last; nothing where nobody can say it any more."""
        command = self.profile.kernel_coverage
        if command is None or (self._first_cause is not None and not self._kernel_stopped):
            return Coverage()
        result = self._session.run(command, timeout=Wait.KERNEL_STATUS)
        return parse_coverage(result) if result.ok else Coverage()

    # -- for those who look for what went wrong

    @property
    def exchanges(self) -> Exchanges:
        """The last requests over WinRM, and what came of them."""
        return self._session.exchanges

    @property
    def last_kernel(self) -> KernelState | None:
        """What the reference kernel said when it stopped; None if it has not."""
        return self._last_kernel

    def last_kernel_status(self) -> dict[str, Any]:
        """What the reference kernel said when it stopped, or else says now; GuestError if it cannot be asked."""
        status = self._last_kernel
        if status is None:
            if self.profile.kernel_status is None:
                raise GuestError(f"the guest {self.name!r} has no reference kernel")
            if self._first_cause is not None:
                raise GuestError("the guest was lost before it could be asked", details=(self._first_cause.message,))
            status = parse_status(self._session.run(self.profile.kernel_status, timeout=Wait.KERNEL_STATUS))
        data: dict[str, Any] = to_data(status)
        return data

    # -- its end

    def close(self) -> None:
        """Close the session; what the guest runs in is not ours to end."""
        if self._state is GuestState.READY:
            self._session.close()
        else:
            self._session.disconnect()
        self._state = GuestState.CLOSED

    def disconnect(self) -> None:
        """Drop the connection without a word: before a fork, and when the guest behind the port has changed."""
        self._session.disconnect()

    def _broken(self, cause: FltLabError) -> FltLabError:
        self._state = GuestState.BROKEN
        self._first_cause = cause
        return cause

    def _first_cause_of(self, error: FltLabError) -> FltLabError:
        """What lies behind an error of the transport: the death of what the guest runs in, or its kernel's."""
        death = self._death(0.0 if isinstance(error, CommandTimeout) else self.deadlines.seconds(Wait.LOST))
        if death is not None:
            return death
        if isinstance(error, CommandTimeout) and self.profile.kernel_status is not None:
            status = self._kernel_status()
            if status is not None and status.state is not State.RUNNING:
                self._kernel_stopped = True
                self._last_kernel = status
                return kernel_error(status, self.drivers_under_test, (error.message, *error.details))
        if self._is_hang(error):
            loaded = ", ".join(self.drivers_under_test)
            return DriverError(
                f"hang in an undetermined driver (loaded: {loaded}): {error.message}",
                details=(*error.details, *((f"meanwhile: {self.body.describe()}",) if self.body is not None else ())),
            )
        if self.body is not None:
            error.details = (*error.details, f"meanwhile: {self.body.describe()}")
        return error

    def _is_hang(self, error: FltLabError) -> bool:
        """Whether silence is the drivers' doing: their kernel is the guest's own, and nobody else can say more.

        A guest that refuses a connection or breaks one off is no hang: it has a network that works.
        """
        own_kernel = self.profile.kernel_status is None
        return own_kernel and bool(self.drivers_under_test) and isinstance(error, NoAnswer | CommandTimeout)

    def _death(self, seconds: float) -> FltLabError | None:
        """The death of what the guest runs in. Its connections break a moment before it is known to have ended."""
        deadline = Deadline(seconds, Wait.LOST.text)
        while self.body is not None:
            try:
                self.body.check()
            except FltLabError as death:
                return death
            if deadline.expired:
                break
            time.sleep(POLL_SECONDS)
        return None

    def _kernel_status(self) -> KernelState | None:
        assert self.profile.kernel_status is not None
        try:
            with WinRmSession(self.endpoint, self._session.name, self.deadlines) as session:
                return parse_status(session.run(self.profile.kernel_status, timeout=Wait.KERNEL_STATUS))
        except FltLabError:
            return None
