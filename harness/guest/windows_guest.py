"""A guest with Windows in it."""

from collections.abc import Iterator
from pathlib import Path

from harness.guest.crash_path import check_crash
from harness.guest.endpoint import Endpoint, SshEndpoint
from harness.guest.guest import Guest
from harness.guest.payload import PayloadDrive
from harness.guest.profiles import Profile
from harness.guest.selftest import Finding
from harness.guest.windows import WindowsBody


class WindowsGuest(Guest):
    """A guest with Windows in it."""

    def __init__(
        self,
        name: str,
        profile: Profile,
        endpoint: Endpoint,
        body: WindowsBody,
        ssh: SshEndpoint | None = None,
        cd: PayloadDrive | None = None,
    ) -> None:
        super().__init__(name, profile, endpoint, body, ssh=ssh, cd=cd)
        self._windows = body

    def last_checks(self, directory: Path) -> Iterator[Finding]:
        """The way of a bug check, gone through on purpose."""
        yield from check_crash(self._windows, directory)
