"""The parts of the fuzzer: cases, words, what is kept, what is made smaller, and what counts as the same fault."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from harness.errors import ConfigurationError
from harness.fleet.fuzz.campaign import together
from harness.fleet.fuzz.case import Case, case_of, script_of
from harness.fleet.fuzz.dictionary import Dictionary, dictionary_of
from harness.fleet.fuzz.fault import faults_in
from harness.fleet.fuzz.kept import Corpus, scripts_in
from harness.fleet.fuzz.mutation import MOST_BYTES, MOST_STEPS, Mutator
from harness.fleet.fuzz.shrink import MOST_ATTEMPTS, shrunk
from harness.fleet.fuzz.target import require_doors
from harness.fleet.fuzz.vocabulary import Door, Vocabulary
from harness.minifilter.build import BuiltDriver
from harness.minifilter.script import mistakes
from harness.wire.attempts import Attempt, Entrances
from harness.wire.kernel_state import Finding, Stop, StopKind

WORDS = Dictionary((0x10, 0x59434C50, 0x6C, 0x222003), ("lck", "long name"))
VOCABULARY = Vocabulary(tuple(Door), Entrances(("\\Port",), (r"\??\Device",)), WORDS)


def some_cases(seed: int, count: int) -> list[Case]:
    mutator, corpus = Mutator(Random(seed), VOCABULARY), []
    for _ in range(count):
        corpus.append(mutator.another(corpus))
    return corpus


def test_whatever_is_made_up_is_a_script_that_fltprobe_takes() -> None:
    for case in some_cases(seed=1, count=2000):
        assert mistakes(script_of(case)) == []
        assert case_of(script_of(case)) == case
        assert len(case) <= MOST_STEPS
        assert all(len(value) <= 2 * MOST_BYTES for step in case for _, value in step.keys)


def test_the_same_seed_makes_up_the_same_cases() -> None:
    assert some_cases(seed=7, count=200) == some_cases(seed=7, count=200)
    assert some_cases(seed=7, count=200) != some_cases(seed=8, count=200)


def test_cases_that_are_put_together_keep_their_own_connections() -> None:
    case = case_of("connect p \\Port\nsend-message p data=01\ndelete V:\\a\n")
    assert case is not None

    assert script_of(together([case, case])).splitlines() == [
        *("connect p0 \\Port", "send-message p0 data=01", "delete V:\\a", "disconnect p0"),
        *("connect p1 \\Port", "send-message p1 data=01", "delete V:\\a", "disconnect p1"),
    ]


def test_the_dictionary_has_what_a_driver_compares_with(planted: dict[str, BuiltDriver]) -> None:
    lengths = dictionary_of(planted["trusts-length"].sys)
    pointers = dictionary_of(planted["reads-pointer"].sys)

    assert lengths.numbers.index(0x59434C50) < 10
    assert 7 in lengths.numbers
    assert {0x222004, 0x22200B} <= set(pointers.codes)
    assert not any("FltRegisterFilter" in text for text in lengths.texts)
    assert "lck" in dictionary_of(planted["counts-suffix"].sys).texts


def test_a_case_becomes_as_small_as_it_gets() -> None:
    case = case_of(
        "connect p \\Port context=0102\nsend-message p data=00000000 room=8\nsend-message p data=ffeeddccbb room=100\n"
        "get-message p timeout=1\nsend-message p data=11\n"
    )
    assert case is not None
    asked = []

    def still(some: Sequence[Case]) -> list[bool]:
        asked.extend(some)
        return [any("dd" in (step.value("data") or "") for step in smaller) for smaller in some]

    assert script_of(shrunk(case, still)) == "connect p \\Port\nsend-message p data=0000dd\n"
    assert len(asked) <= MOST_ATTEMPTS


def test_a_long_message_is_shrunk_to_the_bytes_that_matter() -> None:
    data = Random(1).randbytes(4096).replace(b"\0", b"\1")
    case = case_of(f"connect p \\Port\nsend-message p data={data[:2048].hex()}\n")
    assert case is not None
    matter = (0, 5, 9, 17, 18, 26, 33, 40)

    def holds(smaller: Case) -> bool:
        sent = bytes.fromhex(smaller[-1].value("data") or "")
        return len(smaller) == 2 and all(sent[at : at + 1] == data[at : at + 1] for at in matter)

    def still(some: Sequence[Case]) -> list[bool]:
        return [holds(smaller) for smaller in some]

    shown = bytes.fromhex(shrunk(case, still)[-1].value("data") or "")
    assert [at for at, byte in enumerate(shown) if byte] == list(matter)
    assert len(shown) == matter[-1] + 1


def test_what_was_kept_comes_back_and_what_is_damaged_is_told(tmp_path: Path) -> None:
    case = case_of("connect p \\Port\n")
    assert case is not None
    Corpus(tmp_path).add(case)
    (tmp_path / "cut.script").write_text('connect p "\\Po')
    (tmp_path / "bytes.script").write_bytes(b"connect p \xff\xfe\n")
    (tmp_path / "empty.script").write_text("")
    corpus = Corpus(tmp_path)

    assert corpus.load() == [case]
    assert corpus.damaged == ["bytes.script", "cut.script", "empty.script"]


def test_a_corpus_that_cannot_be_written_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="nothing can be written to"):
        Corpus(tmp_path / "file")


def test_the_scripts_of_a_suite_are_found(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(
        '"""No script."""\n\n\ndef test(lab):\n    lab.io(r"""\n'
        '        open f V:\\a.txt access=rw\n        close f\n    """)\n'
    )

    (case,) = scripts_in([tmp_path])

    assert script_of(case) == "open f V:\\a.txt access=rw\nclose f\n"
    with pytest.raises(ConfigurationError, match="no such file"):
        scripts_in([tmp_path / "nowhere"])


def test_a_driver_without_the_door_is_wrong_use() -> None:
    with pytest.raises(ConfigurationError, match="--ioctl: guard has created no device"):
        require_doors([Door.IO, Door.IOCTL], Entrances(("\\Port",)), "guard")
    require_doors([Door.IO, Door.PORT], Entrances(("\\Port",)), "guard")


def test_faults_of_one_cause_are_one_whatever_their_addresses() -> None:
    def stopped(address: int, place: str) -> Attempt:
        return Attempt(
            stop=Stop(StopKind.BUGCHECK, f"read {address:#x}", "one", 0x50, "PAGE_FAULT", (address,), chain=(place,))
        )

    one, same, other = (
        faults_in(stopped(address, place))[0].cause
        for address, place in ((1, "one+0x10"), (2, "one+0x10"), (1, "one+0x20"))
    )
    assert one == same != other
    ours = Attempt(stop=Stop(StopKind.KERNEL_FAULT, "the reference kernel failed"))
    assert [fault.is_drivers for fault in faults_in(ours)] == [False]
    found = Attempt(findings=(Finding("left 3 blocks", "UNL-03", "one"), Finding("left 4 blocks", "UNL-03", "one")))
    assert len({fault.cause for fault in faults_in(found)}) == 1
