"""What one kind of guest gives a run: guests that are opened and ended, and what a report says about them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigurationError
from harness.fleet.scene import Scene
from harness.fleet.stack import Stack
from harness.guest import Guest
from harness.guest.selftest import Expectation, Finding
from harness.report.provenance import GuestFacts


@dataclass(frozen=True)
class Opened:
    """A guest, what stands in it already, and how many findings its kernel had made by then."""

    guest: Guest
    stack: Stack
    findings: int = 0


class Provider(ABC):
    """One kind of guest of this run. What only some kinds can do is refused here, in words."""

    name: str
    """What `--guest` calls it."""

    one_test_each: bool
    """Whether every test gets a guest of its own; else the tests of a file share one until one of them fails."""

    @property
    @abstractmethod
    def facts(self) -> GuestFacts:
        """What a report says about it; may take as long as building an image."""

    @abstractmethod
    def open(self, directory: Path, scene: Scene | None) -> AbstractContextManager[Opened]:
        """A clean guest that answers, ended with the context; `directory` is its own, for logs.

        The scene may stand in it already. Called in any thread, one call at a time.
        """

    @abstractmethod
    def close(self) -> None:
        """End what it has kept for the next guest; no guest of it is open any more."""

    def prepare(self) -> GuestFacts:
        """Have what all of its guests are made from, which may take minutes, once on a machine; its facts."""
        return self.facts

    def next_test(self, guest: Guest) -> None:
        """Another test gets a guest that one has had already: what that one left on V: goes, where it can."""
        del guest

    def begin_anew(self, guest: Guest, seed: int) -> None:
        """Begin again in a guest, with another seed of its kernel; nothing that was in it is left."""
        del guest, seed
        raise ConfigurationError(f"{self.name} cannot begin anew with another seed", hint="--guest reference-local")

    def puts_below(self, guest: Guest) -> Callable[[Mapping[str, bytes]], None] | None:
        """How files are put on V: without a word to the guest, below all filters; None where there is no such way."""
        del guest
        return None

    # -- what `fltlab image verify` asks

    @property
    def expectation(self) -> Expectation:
        """What its guests are expected to say of themselves."""
        return Expectation()

    def try_forks(self, directory: Path) -> Iterator[Finding]:
        """Try forks of its guests, and keep what came of it: whether guests are forks from now on."""
        del directory
        raise self._no_trial()

    def switch_forks_off(self) -> bool:
        """Boot its guests cold from now on, whatever a trial has said; whether they were forks until now."""
        raise self._no_trial()

    def _no_trial(self) -> ConfigurationError:
        return ConfigurationError(f"{self.name} is no Windows image: its guests need no trial of forks")
