"""A guest that was recorded, in the place of the one that answered: `fltlab replay` runs the host's side against it."""

import contextlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from harness.errors import ConfigurationError
from harness.fleet.provider import Opened, Provider
from harness.fleet.scene import Scene
from harness.fleet.stack import Stack
from harness.guest import REFERENCE_LOCAL, WINDOWS, Guest, GuestKind
from harness.guest.conversation import Recording, read_recording
from harness.guest.profiles import Profile
from harness.guest.replayed import NOWHERE, Conversation, ReplayedSession
from harness.report.provenance import GuestFacts

PROFILES: dict[str, Profile] = {kind.kind.value: kind for kind in (WINDOWS, REFERENCE_LOCAL)}


@lru_cache(maxsize=4)
def load(directory: Path) -> Recording:
    """A recording, read once."""
    return read_recording(directory)


def recorded_guests(directory: Path) -> dict[str, str]:
    """The guests of a recording, by name, and the kind of each."""
    guests = load(directory).facts.get("guests", {})
    if not isinstance(guests, dict) or not set(guests.values()) <= set(PROFILES):
        raise ConfigurationError(
            f"the recording {directory} has guests that cannot be replayed: {guests}",
            details=(f"kinds: {', '.join(PROFILES)}",),
        )
    return {str(name): str(kind) for name, kind in guests.items()}


def recorded_guest(directory: Path, name: str) -> Guest:
    """A guest that answers what the one of this name did; every call takes up the conversation from its beginning."""
    profile = PROFILES[recorded_guests(directory)[name]]
    known = f"the guest {name!r}"
    conversation = Conversation([exchange for exchange in load(directory).exchanges if exchange.guest == known])
    return Guest(name, profile, NOWHERE, session=ReplayedSession(conversation, known))


class RecordedProvider(Provider):
    """Hands out a recorded guest; its tests share one conversation."""

    one_test_each = False

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self._directory = directory
        self._kind = recorded_guests(directory)[name]
        known = f"the guest {name!r}"
        exchanges = load(directory).exchanges
        self._conversation = Conversation([exchange for exchange in exchanges if exchange.guest == known])

    @property
    def facts(self) -> GuestFacts:
        remark = f"no guest ran: what it answered was recorded, in {self._directory}"
        kind = GuestKind(self._kind)
        return GuestFacts(self.name, kind.value, details={"replayed from": str(self._directory)}, remark=remark)

    @contextlib.contextmanager
    def open(self, directory: Path, scene: Scene | None) -> Iterator[Opened]:
        del directory, scene
        session = ReplayedSession(self._conversation, f"the guest {self.name!r}")
        guest = Guest(self.name, PROFILES[self._kind], NOWHERE, session=session)
        yield Opened(guest, Stack(guest))

    def close(self) -> None:
        """Nothing is kept."""
