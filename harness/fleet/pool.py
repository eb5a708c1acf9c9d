"""The guests of this process: who has which, and which one is being made ready for the next test.

A provider says how long a guest may be used: by one test, or by the tests of one file until one of them fails. What a
failed test left behind must not decide about the next one. The next guest is made while the last test of the current
one runs, and ended ones are put away meanwhile too.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.fleet.provider import Opened, Provider
from harness.fleet.providers import provider_for
from harness.fleet.scene import Scene
from harness.fleet.settings import Settings
from harness.fleet.stack import Stack
from harness.guest import Guest, GuestState


class Lease:
    """One guest, for as long as tests of one scope may use it."""

    def __init__(self, provider: Provider, opened: Opened, scope: str) -> None:
        self.provider = provider
        self.guest = opened.guest
        self.stack = opened.stack
        self.scope = scope
        self.spoiled = False
        self.findings = opened.findings  # how many of its kernel are known already

    def begin_anew(self, seed: int) -> None:
        """Have the guest as it was at first, its kernel started with another seed; nothing is deployed."""
        self.provider.begin_anew(self.guest, seed)
        self.stack = Stack(self.guest)
        self.findings = 0

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

    name: str
    scene: Scene | None
    opening: "Future[tuple[Opened, contextlib.ExitStack]]"


class GuestPool:
    """Hands out leases; one guest is in use in one process, and one more is made ready.

    Never does it wait for a machine while it holds another that nobody uses: what it waits for could be that one.
    """

    def __init__(self, settings: Settings, folder_of: Callable[[int, str], Path]) -> None:
        """`folder_of` names the folder of one guest, by its number in this process and its name."""
        self._settings = settings
        self._folder_of = folder_of
        self._providers: dict[str, Provider] = {}
        self._lease: Lease | None = None
        self._scoped = contextlib.ExitStack()
        self._expected: _Expected | None = None
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
        if self._has(name, scope):
            assert self._lease is not None
            self._lease.provider.next_test(self._lease.guest)
            return self._lease
        self._end()
        provider = self.provider(name)
        opened, self._scoped = self._take_expected(name, scene) or self._open(provider, scene)
        self._lease = Lease(provider, opened, scope)
        return self._lease

    @contextlib.contextmanager
    def apart(self, name: str) -> Iterator[Guest]:
        """A clean guest of this name that is no test's; before it is made, what the pool has is put away."""
        self._end()
        self._forget_expected()
        opened, scoped = self._open(self.provider(name), None)
        with scoped:
            yield opened.guest

    def expect(self, name: str, scope: str, scene: Scene | None) -> None:
        """Begin to make a guest ready for the next test, if that one will get another than this."""
        if self._expected is None and not self._has(name, scope):
            provider = self.provider(name)
            self._expected = _Expected(name, scene, self._opener.submit(self._open, provider, scene))

    def close(self) -> None:
        """End every guest, also if ending one of them fails."""
        with contextlib.ExitStack() as all_of_them:
            for provider in self._providers.values():
                all_of_them.callback(provider.close)
            all_of_them.callback(self._closer.shutdown)
            all_of_them.callback(self._check_closed, everything=True)
            all_of_them.callback(self._end)
            all_of_them.callback(self._forget_expected)
            all_of_them.callback(self._opener.shutdown)

    def _has(self, name: str, scope: str) -> bool:
        return self._lease is not None and self._lease.provider.name == name and self._lease.is_good_for(scope)

    def _end(self) -> None:
        """End the guest in use, if any; what it runs in goes too, so nothing needs to be put in order in it."""
        if self._lease is not None:
            self._lease = None
            self._put_away(self._scoped)

    def _open(self, provider: Provider, scene: Scene | None) -> tuple[Opened, contextlib.ExitStack]:
        directory = self._folder_of(next(self._numbers), provider.name)
        scoped = contextlib.ExitStack()
        return scoped.enter_context(provider.open(directory, scene)), scoped

    def _take_expected(self, name: str, scene: Scene | None) -> tuple[Opened, contextlib.ExitStack] | None:
        """The guest that was made ready, if it is of this scene. What went wrong in its making is raised here."""
        expected = self._expected
        if expected is None or (expected.name, expected.scene) != (name, scene):
            self._forget_expected()
            return None
        self._expected = None
        return expected.opening.result()

    def _forget_expected(self) -> None:
        expected, self._expected = self._expected, None
        if expected is not None and not expected.opening.cancel() and expected.opening.exception() is None:
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
