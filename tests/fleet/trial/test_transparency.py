"""The oracle: what differs is told once, in words; what follows from it, or differs in any two runs, is not."""

import struct

import pytest

from harness.fleet.trial.answers import parts_of
from harness.fleet.trial.transparency import Difference, compare_census, compare_steps, summarize
from harness.fleet.trial.workload import WORKLOAD
from harness.minifilter.package import AllowedChange
from harness.minifilter.probe import ProbeResult, Step
from harness.minifilter.script import mistakes, words_of
from harness.nt import NtStatus
from harness.text import safe_line

LINES = (
    r"open f V:\a.txt access=rw",
    "read f offset=0 length=16",
    "query f class=standard",
    "read f offset=0 length=16 async=r1",
    "wait r1",
    "spawn t1 write f length=16",
    "wait t1",
    "close f",
)
STANDARD = struct.pack("<qqI??2x", 4096, 10, 1, False, False)


def step(line: int, status: int = 0, information: int = 0, data: bytes = b"", digest: int | None = None) -> Step:
    words = words_of(LINES[line - 1])
    hashed = hash(data) & 0xFFFF if digest is None else digest
    name = safe_line(words[1])
    return Step(
        line, safe_line(words[0]), name, status, information, 1, line, line, data, outstanding=False, digest=hashed
    )


def answer(**changed: Step) -> ProbeResult:
    steps = {
        "open": step(1, information=1),
        "read": step(2, information=16, data=bytes(16)),
        "query": step(3, information=24, data=STANDARD),
        "begun": step(4, NtStatus.PENDING),
        "done": step(5, information=16, data=bytes(16)),
        "spawn": step(6),
        "written": step(6, information=16),
        "joined": step(7, information=16),
        "close": step(8),
    }
    return ProbeResult(4, 8, tuple((steps | changed).values()), {}, 10_000_000, None)


def found(given: ProbeResult) -> list[str]:
    return [one.words for one in compare_steps("part", LINES, answer(), given)]


def test_what_is_alike_is_no_difference() -> None:
    assert found(answer()) == []
    assert found(answer(begun=step(4, information=16, data=bytes(16)))) == []  # it may complete at once, or later


def test_a_difference_says_what_it_was_and_what_it_became() -> None:
    longer = struct.pack("<qqI??2x", 4096, 14, 1, False, False)

    assert found(answer(query=step(3, information=24, data=longer))) == [r"query V:\a.txt: end of file 10 became 14"]
    assert found(answer(read=step(2, NtStatus.ACCESS_DENIED))) == [
        r"read V:\a.txt: status 0x00000000 SUCCESS became 0xC0000022 ACCESS_DENIED"
    ]


def test_data_that_differ_behind_their_beginning_differ() -> None:
    (said,) = found(answer(done=step(5, information=16, data=bytes(16), digest=7)))

    assert said.startswith(r"read V:\a.txt: data 00 00")


def test_what_follows_from_a_difference_is_not_told_again() -> None:
    refused = answer(
        open=step(1, NtStatus.ACCESS_DENIED),
        read=step(2, NtStatus.INVALID_HANDLE),
        query=step(3, NtStatus.INVALID_HANDLE),
        written=step(6, NtStatus.INVALID_HANDLE),
        joined=step(7, NtStatus.INVALID_HANDLE),
    )

    assert found(refused) == [r"open V:\a.txt: status 0x00000000 SUCCESS became 0xC0000022 ACCESS_DENIED"]


def test_a_spawned_step_is_told_once_and_not_again_by_who_waits_for_it() -> None:
    short = answer(written=step(6, information=8), joined=step(7, information=8))

    assert found(short) == [r"write V:\a.txt: information 16 became 8"]


def test_differences_of_one_kind_are_told_together_and_those_that_are_meant_last() -> None:
    kinds = [
        Difference("open", "status", rf"V:\{name}", "SUCCESS", "ACCESS_DENIED", "", "part")
        for name in ("a.txt", "b.SECRET", "c.txt")
    ]
    meant = AllowedChange(file="*.secret", step="open", what="status", why="secrets are kept")

    told = summarize(kinds, [meant])

    assert [(change.count, change.allowed) for change in told] == [(2, None), (1, "secrets are kept")]
    assert told[0].words == r"open V:\a.txt: status SUCCESS became ACCESS_DENIED (and 1 more)"
    assert [change.allowed for change in summarize(kinds, [])] == [None]


def test_what_is_on_the_volume_in_the_end_is_compared_file_by_file() -> None:
    without = {r"V:\a": {"it is": "a file", "content": "00"}, r"V:\b": {"it is": "a file", "content": "11"}}
    given = {r"V:\a": {"it is": "a file", "content": "ff"}, r"V:\c": {"it is": "a file", "content": "22"}}

    assert [one.words for one in compare_census(without, given)] == [
        r"afterwards V:\a: content 00 became ff",
        r"afterwards V:\b is missing (it was a file)",
        r"afterwards V:\c is a file now",
    ]


def test_times_and_file_ids_are_no_part_of_an_answer() -> None:
    one, other = (struct.pack("<4qI4x", *([time] * 4), 0x20) for time in (1000, 2000))
    basic = ["query", "f", "class=basic"]

    assert parts_of(basic, step(3, data=one)) == parts_of(basic, step(3, data=other))
    assert parts_of(["query", "f", "class=internal"], step(3, data=bytes(8))) == {"status": "0x00000000 SUCCESS"}


@pytest.mark.parametrize("part", WORKLOAD, ids=lambda part: part.name)
def test_every_part_of_the_workload_is_a_script(part) -> None:
    assert mistakes("\n".join(part.lines)) == []
