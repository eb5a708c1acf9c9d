"""Groups of tests: what is handed to a worker at a time, and what a worker must have for it.

The tests of a group are of one file, on one guest and of one template (of one stack): what is made ready for the first
serves all. No group is longer than a share of what one worker has to do, so that the end of a run is even.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

SHARE = 1 / 12
"""How long a group may be, as a share of what each worker has to do in the whole run: the last ones to end are late by
less than that."""
LEAST_SECONDS = 2.0
"""No group is made shorter than that on purpose: to hand one over costs some milliseconds, and a first guest."""


@dataclass(frozen=True)
class Needs:
    """What a machine must have for a group.

    `image` names what the guest is made of, as the store or the machine knows it ("" where it needs none);
    `image_seconds` is what it takes to have that image on a machine that lacks it, and `template_seconds` to make the
    template there: what a policy weighs, no promise.
    """

    memory_mib: int = 0
    kvm: bool = False
    image: str = ""
    image_seconds: float = 0.0
    template_seconds: float = 0.0

    def __hash__(self) -> int:
        """Cheap: a board asks for it at every turn."""
        return hash(self.image)


@dataclass(frozen=True)
class Offer:
    """What a worker has. Its machine's memory is divided among the workers there: `memory_mib` is this one's part."""

    worker: str
    """Its name in the cluster, the address that Dask knows it by."""
    machine: str
    """What workers of one machine have in common: they share its images and templates."""
    memory_mib: int
    kvm: bool = False
    images: frozenset[str] = frozenset()
    """At hand when it came."""


@dataclass(frozen=True)
class PlannedTest:
    """One test on one guest, and what is known of it before it runs."""

    nodeid: str
    guest: str = ""
    template: str = ""
    """The same text for tests that can use one template of this guest: their stack."""
    seconds: float = 0.0
    """Expected, durations.py."""

    @property
    def file(self) -> str:
        """The file of the test, as its node id has it."""
        return self.nodeid.partition("::")[0]


@dataclass(frozen=True)
class Group:
    """Tests that one worker runs in a row, in this order. `name` is the run's only group of that name."""

    name: str
    tests: tuple[PlannedTest, ...]
    needs: Needs = field(default_factory=Needs)
    not_on: frozenset[str] = frozenset()
    """Machines that have lost it, or cannot run it: others are asked first."""

    @property
    def guest(self) -> str:
        return self.tests[0].guest

    @property
    def template(self) -> str:
        return self.tests[0].template

    @property
    def seconds(self) -> float:
        """Expected, without image and template."""
        return sum(test.seconds for test in self.tests)


def why_never(offer: Offer, needs: Needs, images: Container[str]) -> str:
    """Why a worker cannot run what needs this, in words; "" if it can. `images` are those it has or can be sent."""
    if offer.memory_mib < needs.memory_mib:
        return f"it has {offer.memory_mib} MiB for a guest, and {needs.memory_mib} MiB are needed"
    if needs.kvm and not offer.kvm:
        return "it has no KVM"
    if needs.image and needs.image not in images:
        return f"it has no image {needs.image}, and the store has none"
    return ""


def cut(tests: Iterable[PlannedTest], needs_of: Mapping[str, Needs], workers: int) -> list[Group]:
    """The groups of a run for so many workers, the longest expected first; tests keep their order in a group.

    `needs_of` is by guest.
    """
    kinds: defaultdict[tuple[str, str, str], list[PlannedTest]] = defaultdict(list)
    for test in tests:
        kinds[test.file, test.guest, test.template].append(test)
    total = sum(test.seconds for kind in kinds.values() for test in kind)
    most = max(LEAST_SECONDS, SHARE * total / max(1, workers))
    groups: list[Group] = []
    named: defaultdict[str, int] = defaultdict(int)
    for (file, guest, _), kind in kinds.items():
        for part in _parts(kind, most):
            name = f"{file} [{guest}]" if guest else file
            named[name] += 1
            groups.append(Group(f"{name} {named[name]}", tuple(part), needs_of.get(guest, Needs())))
    return sorted(groups, key=lambda group: -group.seconds)


def _parts(tests: Sequence[PlannedTest], most: float) -> list[list[PlannedTest]]:
    """A row of tests cut into as few pieces of at most `most` seconds as it takes, of much the same length."""
    total = sum(test.seconds for test in tests)
    each = total / max(1, ceil(total / most))
    parts: list[list[PlannedTest]] = [[]]
    length = 0.0
    for test in tests:
        if parts[-1] and length + test.seconds > each * 1.000001:
            parts.append([])
            length = 0.0
        parts[-1].append(test)
        length += test.seconds
    return parts
