"""The guests of this process: who has which, and which one is being made ready for the next test.

A provider says how long a guest may be used: by one test, or by the tests of one file until one of them fails. What a
failed test left behind must not decide about the next one. The next guest is made while the last test of the current
one runs, and ended ones are put away meanwhile too.
"""

import contextlib
import itertools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.fleet.provider import Opened, Provider
from harness.fleet.providers import provider_for
from harness.fleet.scene import Scene
from harness.fleet.settings import Settings
from harness.guest import GuestState


class Lease:
    """One guest, for as long as tests of one scope may use it."""

    def __init__(self, provider: Provider, opened: Opened, scope: str) -> None:
        self.provider = provider
        self.guest = opened.guest
        self.stack = opened.stack
        self.scope = scope
        self.spoiled = False
        self.findings = opened.findings  # how many of its kernel are known already

    def is_good_for(self, scope: str) -> bool:
        """Whether a test of this scope may have it."""
        return (
            not self.provider.one_test_each
            and not self.spoiled
            and self.scope == scope
            and self.guest.state is GuestState.READY
        )


@dataclass
class _Expected:
    """A guest that is being made for the next test."""

    scene: Scene | None
    opening: "Future[tuple[Opened, contextlib.ExitStack]]"


class GuestPool:
    """Hands out leases; at most one guest of each name is in use in one process, and one more is made ready."""

    def __init__(self, settings: Settings, folder_of: Callable[[int, str], Path]) -> None:
        """`folder_of` names the folder of one guest, by its number in this process and its name."""
        self._settings = settings
        self._folder_of = folder_of
        self._providers: dict[str, Provider] = {}
        self._leases: dict[str, tuple[Lease, contextlib.ExitStack]] = {}
        self._expected: dict[str, _Expected] = {}
        self._numbers = itertools.count(1)
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="next guest")
        self._closer = ThreadPoolExecutor(1, thread_name_prefix="ended guests")
        self._closing: list[Future[None]] = []

    def provider(self, name: str) -> Provider:
        """The provider of a guest's name, made once."""
        if name not in self._providers:
            self._providers[name] = provider_for(name, self._settings)
        return self._providers[name]

    def lease(self, name: str, scope: str, scene: Scene | None = None) -> Lease:
        """A good guest of this name: the one this scope has already, the one made ready for it, or a clean one."""
        if name in self._leases:
            lease, _ = self._leases[name]
            if lease.is_good_for(scope):
                lease.provider.next_test(lease.guest)
                return lease
            self.end(name)
        provider = self.provider(name)
        opened, scoped = self._take_expected(name, scene) or self._open(provider, scene)
        lease = Lease(provider, opened, scope)
        self._leases[name] = (lease, scoped)
        return lease

    def expect(self, name: str, scope: str, scene: Scene | None) -> None:
        """Begin to make a guest ready for the next test, if that one will get another than this."""
        provider = self.provider(name)
        same = name in self._leases and self._leases[name][0].is_good_for(scope)
        if not same and name not in self._expected:
            self._expected[name] = _Expected(scene, self._opener.submit(self._open, provider, scene))

    def end(self, name: str) -> None:
        """End the guest of this name; what it runs in goes too, so nothing needs to be put in order in it."""
        _, scoped = self._leases.pop(name)
        self._put_away(scoped)

    def close(self) -> None:
        """End every guest, also if ending one of them fails."""
        with contextlib.ExitStack() as all_of_them:
            for provider in self._providers.values():
                all_of_them.callback(provider.close)
            all_of_them.callback(self._closer.shutdown)
            all_of_them.callback(self._check_closed, everything=True)
            for name in list(self._leases):
                all_of_them.callback(self.end, name)
            for name in list(self._expected):
                all_of_them.callback(self._forget_expected, name)
            all_of_them.callback(self._opener.shutdown)

    def _open(self, provider: Provider, scene: Scene | None) -> tuple[Opened, contextlib.ExitStack]:
        directory = self._folder_of(next(self._numbers), provider.name)
        scoped = contextlib.ExitStack()
        return scoped.enter_context(provider.open(directory, scene)), scoped

    def _take_expected(self, name: str, scene: Scene | None) -> tuple[Opened, contextlib.ExitStack] | None:
        """The guest that was made ready, if it is of this scene. What went wrong in its making is raised here."""
        expected = self._expected.get(name)
        if expected is None:
            return None
        if expected.scene != scene:
            self._forget_expected(name)
            return None
        del self._expected[name]
        return expected.opening.result()

    def _forget_expected(self, name: str) -> None:
        expected = self._expected.pop(name)
        if expected.opening.cancel():
            return
        error = expected.opening.exception()
        if error is None:
            self._put_away(expected.opening.result()[1])

    def _put_away(self, scoped: contextlib.ExitStack) -> None:
        """End a guest beside what goes on; a failure in that is raised by the next one, or at the end."""
        self._check_closed(everything=False)
        self._closing.append(self._closer.submit(scoped.close))

    def _check_closed(self, *, everything: bool) -> None:
        done = [future for future in self._closing if everything or future.done()]
        self._closing = [future for future in self._closing if future not in done]
        with contextlib.ExitStack() as all_of_them:
            for future in done:
                all_of_them.callback(future.result)
