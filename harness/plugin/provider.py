"""What one kind of guest gives a run: guests that are opened and ended, and what a report says about them."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.guest import Guest, KernelOptions
from harness.plugin.options import Settings
from harness.plugin.scene import Scene
from harness.plugin.stack import Stack
from harness.report.provenance import GuestFacts


@dataclass(frozen=True)
class Opened:
    """A guest, what stands in it already, and how many findings its kernel had made by then."""

    guest: Guest
    stack: Stack
    findings: int = 0


class Provider(Protocol):
    """One kind of guest of this run."""

    @property
    def one_test_each(self) -> bool:
        """Whether every test gets a guest of its own; else the tests of a file share one until one of them fails."""

    @property
    def name(self) -> str:
        """What `--guest` calls it."""

    @property
    def facts(self) -> GuestFacts:
        """What a report says about it; may take as long as building an image."""

    def open(self, directory: Path, scene: Scene | None) -> AbstractContextManager[Opened]:
        """A clean guest that answers, ended with the context; `directory` is its own, for logs.

        The scene may stand in it already. Called in any thread, one call at a time.
        """

    def close(self) -> None:
        """End what it has kept for the next guest; no guest of it is open any more."""


def kernel_options(settings: Settings) -> KernelOptions:
    """How the reference kernel is started in this run."""
    return KernelOptions(seed=settings.seed, mutants=settings.mutants)
