"""The guests of this process: one clean guest for each test file, and a new one after anything went wrong.

A guest is leased to a file of tests. The next file, or the next test after one that failed, gets another: what a
failed test left behind must not decide about the next one.
"""

import contextlib
import itertools
from pathlib import Path

from harness.guest import Guest, GuestState
from harness.plugin.providers import Provider, provider_for
from harness.plugin.run import Run
from harness.plugin.stack import Stack


class Lease:
    """One guest, for as long as the tests of one file pass on it."""

    def __init__(self, provider: Provider, guest: Guest, directory: Path, scope: str) -> None:
        self.provider = provider
        self.guest = guest
        self.directory = directory
        self.scope = scope
        self.stack = Stack(guest)
        self.spoiled = False
        self.findings = 0  # how many of its kernel are known already

    def is_good_for(self, scope: str) -> bool:
        """Whether a test of this file may have it."""
        return not self.spoiled and self.scope == scope and self.guest.state is GuestState.READY


class GuestPool:
    """Hands out leases; at most one guest of each name runs in one process."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._providers: dict[str, Provider] = {}
        self._leases: dict[str, tuple[Lease, contextlib.ExitStack]] = {}
        self._numbers = itertools.count(1)

    def provider(self, name: str) -> Provider:
        """The provider of a guest's name, made once."""
        if name not in self._providers:
            self._providers[name] = provider_for(name, self._run.settings)
        return self._providers[name]

    def lease(self, name: str, scope: str) -> Lease:
        """A good guest of this name for this file: the one the file has already, or a clean one."""
        if name in self._leases:
            lease, _ = self._leases[name]
            if lease.is_good_for(scope):
                return lease
            self.end(name)
        provider = self.provider(name)
        directory = self._run.guest_folder(next(self._numbers), name)
        scoped = contextlib.ExitStack()
        guest = scoped.enter_context(provider.open(directory))
        lease = Lease(provider, guest, directory, scope)
        self._leases[name] = (lease, scoped)
        return lease

    def end(self, name: str) -> None:
        """End the guest of this name; what it runs in goes too, so nothing needs to be put in order in it."""
        _, scoped = self._leases.pop(name)
        scoped.close()

    def close(self) -> None:
        """End every guest, also if ending one of them fails."""
        with contextlib.ExitStack() as all_of_them:
            for name in list(self._leases):
                all_of_them.callback(self.end, name)
