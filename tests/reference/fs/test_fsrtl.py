"""The packages that file systems share: wildcards, oplocks, directory notification."""

import pytest

from harness.nt import NtStatus
from harness.reference.windows.fsrtl.expressions import has_wildcards, is_name_in_expression, upcase
from harness.reference.windows.fsrtl.notify import NotifyList
from harness.reference.windows.fsrtl.oplocks import RH, RW, RWH, Cache, Does, Holder, Kind, Oplock, level_of

NAMES = [".", "..", "a", "a.", ".a", "a.b", "a.b.c", "a..", "ab"]


@pytest.mark.parametrize(
    ("expression", "matched"),
    [
        ("*", NAMES),
        ("*.*", [".", "..", "a.", ".a", "a.b", "a.b.c", "a.."]),
        ("<", ["a", "ab"]),
        ("<.<", [".", "..", "a.", ".a", "a.b", "a.b.c", "a.."]),
        ("<.", [".", "..", "a.", "a.."]),
        (".<", [".", ".a"]),
        (">", ["a"]),
        (">>", ["a", "ab"]),
        (">.>", [".", "a.", ".a", "a.b"]),
        ('a"', ["a", "a."]),
        ('<"*', NAMES),
        ("?", [".", "a"]),
        ("a?", ["a.", "ab"]),
        ("*.", [".", "..", "a.", "a.."]),
        ("a*", ["a", "a.", "a.b", "a.b.c", "a..", "ab"]),
        ("", []),
    ],
)
def test_wildcards_match_as_the_documentation_says(expression: str, matched: list[str]) -> None:
    assert [name for name in NAMES if is_name_in_expression(expression, name)] == matched


def test_names_are_in_upper_case_as_the_volume_has_it() -> None:
    assert upcase("straße") == "STRAßE"
    assert upcase("éa") == "ÉA"
    assert has_wildcards("a<b")
    assert not has_wildcards("a.b")


# -- oplocks


class Party:
    """One open with what became of its request."""

    def __init__(self, oplock: Oplock, kind: Kind = Kind.CACHE, level: Cache | None = None) -> None:
        self.ended: list[tuple[int, int, bytes]] = []
        self.oplock = oplock
        level = level_of(kind) if level is None else level
        self.holder = Holder(self, self, kind, level, lambda *outcome: self.ended.append(outcome))

    def ask(self, *, opens: int = 0, locks: bool = False) -> int:
        return self.oplock.request(self.holder, opens=opens, locks=locks)


@pytest.fixture
def oplock() -> Oplock:
    return Oplock(lambda event: None)


@pytest.mark.parametrize(
    ("kind", "does", "information", "waits"),
    [
        (Kind.LEVEL_1, Does.OPEN, 7, True),
        (Kind.LEVEL_1, Does.OVERWRITE, 8, True),
        (Kind.LEVEL_1, Does.WRITE, 8, True),
        (Kind.BATCH, Does.OPEN, 7, True),
        (Kind.BATCH, Does.SHARE_CONFLICT, 7, True),
        (Kind.FILTER, Does.OPEN_TO_WRITE, 8, True),
        (Kind.LEVEL_2, Does.WRITE, 8, False),
        (Kind.LEVEL_2, Does.OVERWRITE, 8, False),
    ],
)
def test_an_older_oplock_is_broken_to_what_its_kind_leaves(
    oplock: Oplock, kind: Kind, does: Does, information: int, waits: bool
) -> None:
    party = Party(oplock, kind)
    assert party.ask() == NtStatus.PENDING

    event = oplock.check(does, "other", "other")

    assert party.ended == [(NtStatus.SUCCESS, information, b"")]
    assert (event is not None) is waits


@pytest.mark.parametrize(
    ("kind", "does"),
    [
        (Kind.LEVEL_2, Does.OPEN),
        (Kind.LEVEL_2, Does.READ),
        (Kind.FILTER, Does.OPEN),
        (Kind.LEVEL_1, Does.SHARE_CONFLICT),
    ],
)
def test_what_does_not_break_it_leaves_it(oplock: Oplock, kind: Kind, does: Does) -> None:
    party = Party(oplock, kind)
    party.ask()

    assert oplock.check(does, "other", "other") is None
    assert party.ended == []


@pytest.mark.parametrize(
    ("level", "does", "left", "waits"),
    [
        (RWH, Does.OPEN, RH, True),
        (RWH, Does.SHARE_CONFLICT, RW, True),
        (RWH, Does.WRITE, Cache.NONE, True),
        (RW, Does.OPEN, Cache.READ, True),
        (RH, Does.SHARE_CONFLICT, Cache.READ, True),
        (RH, Does.WRITE, Cache.NONE, False),
        (Cache.READ, Does.WRITE, Cache.NONE, False),
    ],
)
def test_a_break_says_what_is_left_and_whether_to_acknowledge(
    oplock: Oplock, level: Cache, does: Does, left: Cache, waits: bool
) -> None:
    party = Party(oplock, level=level)
    party.ask()
    event = oplock.check(does, "other", "other")

    ((status, information, output),) = party.ended
    assert (status, information) == (NtStatus.SUCCESS, 24)
    assert (int.from_bytes(output[4:8], "little"), int.from_bytes(output[8:12], "little")) == (level, left)
    assert int.from_bytes(output[12:16], "little") == (1 if level != Cache.READ else 0)
    assert (event is not None) is waits


def test_who_waits_goes_on_when_the_holder_agrees_or_closes(oplock: Oplock) -> None:
    for end in ("acknowledge", "close"):
        party = Party(oplock, Kind.LEVEL_1)
        party.ask()
        event = oplock.check(Does.OPEN, "other", "other")
        assert event is not None
        assert not event.state
        if end == "acknowledge":
            assert oplock.acknowledge(party, lambda *_: None) == (NtStatus.PENDING, 0)
            assert [holder.kind for holder in oplock.holders] == [Kind.LEVEL_2]
            oplock.cleanup(party)
        else:
            oplock.cleanup(party)
        assert event.state
        assert oplock.holders == []


def test_an_acknowledgement_without_a_break_is_refused(oplock: Oplock) -> None:
    party = Party(oplock, Kind.LEVEL_1)
    party.ask()

    assert oplock.acknowledge(party, lambda *_: None)[0] == NtStatus.INVALID_OPLOCK_PROTOCOL
    assert oplock.close_pending(party) == NtStatus.INVALID_OPLOCK_PROTOCOL


def test_exclusive_oplocks_are_for_who_is_alone(oplock: Oplock) -> None:
    assert Party(oplock, Kind.LEVEL_1).ask(opens=1) == NtStatus.OPLOCK_NOT_GRANTED
    assert Party(oplock, Kind.LEVEL_2).ask(locks=True) == NtStatus.OPLOCK_NOT_GRANTED
    assert Party(oplock, Kind.LEVEL_2).ask() == NtStatus.PENDING
    assert Party(oplock, Kind.LEVEL_2).ask(opens=1) == NtStatus.PENDING
    assert Party(oplock, Kind.BATCH).ask() == NtStatus.OPLOCK_NOT_GRANTED


def test_the_holders_own_operations_break_nothing(oplock: Oplock) -> None:
    party = Party(oplock, level=RWH)
    party.ask()

    assert oplock.check(Does.WRITE, party, party) is None
    assert party.ended == []


# -- notification


def watched(notify: NotifyList, owner: str, length: int = 100, what: int = 0x1) -> list[tuple[int, bytes]]:
    ended: list[tuple[int, bytes]] = []
    notify.request(owner, "dir", what, tree=False, length=length, complete=lambda *outcome: ended.append(outcome))
    notify.settle(owner)
    return ended


def test_a_change_ends_the_request_that_waits_and_later_ones_are_kept() -> None:
    notify = NotifyList()
    first = watched(notify, "handle")
    watch = notify.watches["handle"]
    notify.report(watch, 1, 0x1, "a")
    notify.settle("handle")
    notify.report(watch, 2, 0x1, "b")
    notify.report(watch, 2, 0x8, "not asked for")
    second = watched(notify, "handle")

    assert first == [(0, b"\0\0\0\0\1\0\0\0\2\0\0\0a\0")]
    assert second == [(0, b"\0\0\0\0\2\0\0\0\2\0\0\0b\0")]


def test_both_names_of_a_rename_are_told_at_once() -> None:
    notify = NotifyList()
    ended = watched(notify, "handle")
    watch = notify.watches["handle"]
    notify.report(watch, 4, 0x1, "a")
    notify.settle("handle")
    assert ended == []
    notify.report(watch, 5, 0x1, "b")
    notify.settle("handle")

    ((status, data),) = ended
    assert status == 0
    assert [data[4], data[20]] == [4, 5]


def test_what_does_not_fit_has_to_be_enumerated() -> None:
    notify = NotifyList()
    ended = watched(notify, "handle", length=4)
    notify.report(notify.watches["handle"], 1, 0x1, "a")
    notify.settle("handle")

    assert ended == [(NtStatus.NOTIFY_ENUM_DIR, b"")]


def test_the_end_of_a_handle_ends_its_requests() -> None:
    notify = NotifyList()
    ended = watched(notify, "handle")
    notify.cleanup("handle")

    assert ended == [(NtStatus.NOTIFY_CLEANUP, b"")]


def test_a_directory_that_goes_ends_who_watches_it() -> None:
    notify = NotifyList()
    ended = watched(notify, "handle")
    notify.directory_goes("dir")

    assert ended == [(NtStatus.DELETE_PENDING, b"")]
    assert watched(notify, "handle") == [(NtStatus.DELETE_PENDING, b"")]
