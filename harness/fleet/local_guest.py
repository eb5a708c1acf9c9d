"""`reference-local`: the guest daemon as a process of this machine.

A daemon takes as long to start as several tests to run, so one that has served a file of tests well serves another:
with a kernel started anew, no services, and both its drives empty.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path, PureWindowsPath

from harness.errors import FltLabError, GuestError
from harness.fleet.guest_name import GuestName
from harness.fleet.provider import Opened, Provider
from harness.fleet.scene import Scene
from harness.fleet.settings import LOCAL_GUEST, Settings
from harness.fleet.stack import Stack
from harness.guest import Guest, GuestKind, GuestState, KernelOptions, LocalGuest, volume_details
from harness.guest.registration import SERVICES
from harness.machine.watchdog import watchdog
from harness.report.provenance import GuestFacts

LOG = "daemon.log"
LOG_LIMIT = 16 << 20
REGISTRY = "registry.json"  # the daemon's own, below C:


class LocalProvider(Provider):
    """Starts daemons, and makes those clean again that come back whole."""

    one_test_each = False  # deploying a stack takes longer than most tests

    def __init__(self, settings: Settings, system: str = "") -> None:
        self.name = str(GuestName(LOCAL_GUEST, system))
        self._kernel = replace(settings.kernel, format=system)
        self._recorded = settings.record is not None
        self._resting: list[tuple[LocalGuest, contextlib.ExitStack]] = []

    @cached_property
    def facts(self) -> GuestFacts:
        details = {"seed": str(self._kernel.seed)} | volume_details(self._kernel)
        return GuestFacts(self.name, GuestKind.REFERENCE_LOCAL.value, details=details)

    @contextlib.contextmanager
    def open(self, directory: Path, scene: Scene | None) -> Iterator[Opened]:
        del scene
        guest, scoped = self._renewed() or self._started(directory)
        try:
            yield Opened(guest, Stack(guest))
        finally:
            if guest.state is GuestState.READY:
                self._resting.append((guest, scoped))
            else:
                _keep_log(guest.folder, directory)
                scoped.close()

    def next_test(self, guest: Guest) -> None:
        """Empty V:, so that a test finds nothing of those before it, as in a guest of its own."""
        assert isinstance(guest, LocalGuest)
        for drive in guest.data_volumes:
            _empty(drive)

    def begin_anew(self, guest: Guest, seed: int) -> None:
        """Its kernel begins with another seed, in a guest as it was at first."""
        assert isinstance(guest, LocalGuest)
        if guest.state is not GuestState.READY:
            guest.restart_kernel(self._kernel)
        _clean(guest, replace(self._kernel, seed=seed))

    def puts_below(self, guest: Guest) -> Callable[[Mapping[str, bytes]], None] | None:
        """V: is a directory of this machine, unless a file system of its own is mounted there.

        A run that is recorded says all that it does to the guest.
        """
        assert isinstance(guest, LocalGuest)
        if self._kernel.file_system is not None or self._recorded:
            return None
        return partial(_put, guest.volume)

    def close(self) -> None:
        """End the daemons that are left."""
        while self._resting:
            self._resting.pop()[1].close()

    def _started(self, directory: Path) -> tuple[LocalGuest, contextlib.ExitStack]:
        with contextlib.ExitStack() as scoped:
            # Its drives and its log are scratch; what a failure needs of them is copied while it runs.
            folder = scoped.enter_context(watchdog().scratch_directory("fltlab-local-"))
            try:
                guest = LocalGuest(folder, self.name, self._kernel)
                scoped.callback(guest.close)
                guest.kernel_status()  # its kernel starts with the first question
            except FltLabError as error:
                error.hint = f"its log: {_keep_log(folder, directory)}"
                raise
            return guest, scoped.pop_all()

    def _renewed(self) -> tuple[LocalGuest, contextlib.ExitStack] | None:
        """A daemon that has rested, clean again; None if there is none, or it does not come clean."""
        while self._resting:
            guest, scoped = self._resting.pop()
            try:
                _clean(guest, self._kernel)
            except GuestError:
                scoped.close()
            else:
                return guest, scoped
        return None


def _clean(guest: LocalGuest, kernel: KernelOptions) -> None:
    """Its kernel started anew, no services, and its drives empty."""
    for key in (SERVICES, r"HKLM\SOFTWARE"):
        guest.run(f'reg.exe delete "{key}" /f')
    for drive in (guest.system, *guest.data_volumes):
        _empty(drive)
    guest.restart_kernel(kernel)


def _put(volume: Path, files: Mapping[str, bytes]) -> None:
    """Files of V: as files of its directory; one that is there already is another file from then on."""
    for path, content in files.items():
        target = volume.joinpath(*PureWindowsPath(path).parts[1:])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(content)


def _keep_log(folder: Path, directory: Path) -> Path:
    """Keep what the daemon printed in the guest's own directory, as far as anybody may still want it."""
    directory.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("rb") as log:
        (directory / LOG).write_bytes(log.read(LOG_LIMIT))
    return directory / LOG


def _empty(drive: Path) -> None:
    for path in drive.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != REGISTRY:
            path.unlink()
