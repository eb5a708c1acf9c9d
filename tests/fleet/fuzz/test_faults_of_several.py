"""A fault that needs what another script did before is kept with that, as one script, and with nothing else."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from harness.fleet.fuzz.campaign import Campaign
from harness.fleet.fuzz.case import Case, case_of, script_of
from harness.fleet.fuzz.fault import Fault, faults_in
from harness.fleet.fuzz.kept import Corpus
from harness.fleet.fuzz.vocabulary import Door
from harness.minifilter.build import BuiltDriver
from harness.wire.attempts import Attempt, Entrances, Tried
from harness.wire.kernel_state import Stop, StopKind

CRASH = Attempt(stop=Stop(StopKind.BUGCHECK, "read of what is freed", "one", 0x50, "PAGE_FAULT", chain=("one+0x10",)))


class Remembering:
    """A kernel whose driver frees something at a message 01, and uses it at a message 02 after that."""

    service = "one"

    def entrances(self) -> Entrances:
        return Entrances(("\\Port",))

    def _attempt(self, cases: Sequence[Case]) -> Tried:
        attempts, freed = [], False
        for case in cases:
            for step in case:
                freed |= step.value("data") == "01"
                if freed and step.value("data") == "02":
                    return Tried((*attempts, CRASH))
            attempts.append(Attempt())
        return Tried(tuple(attempts))

    def side_by_side(
        self, batches: Sequence[Sequence[Case]], learnt: Sequence[int] = (), *, unload: bool = False
    ) -> Sequence[Tried]:
        return [self._attempt(cases) for cases in batches]


class Kept:
    """What is kept, in the order in which it was."""

    def __init__(self) -> None:
        self.cases: list[Case] = []

    def write(self, fault: Fault, case: Case) -> Path:
        assert fault == faults_in(CRASH)[0]
        self.cases.append(case)
        return Path("test_one.py")


def a_case(data: str) -> Case:
    case = case_of(f"connect p \\Port\nsend-message p data={data}\n")
    assert case is not None
    return case


def test_it_is_kept_with_those_that_it_takes(tmp_path: Path, planted: dict[str, BuiltDriver]) -> None:
    kept = Kept()
    campaign = Campaign(
        Remembering(),  # type: ignore[arg-type]
        planted["trusts-length"],
        *([Door.PORT], 1, Corpus(tmp_path)),
        kept,  # type: ignore[arg-type]
        lambda _: None,
    )
    others = [a_case(f"{Random(number).randrange(16, 256):02x}") for number in range(28)]
    cases = [*others[:7], a_case("01"), *others[7:], a_case("02"), a_case("03")]

    campaign._round(cases)

    (case,) = kept.cases
    assert [line.split()[-1] for line in script_of(case).splitlines() if "data=" in line] == ["data=01", "data=02"]
    assert not campaign.outcome.lost
