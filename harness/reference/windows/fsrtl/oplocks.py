"""Opportunistic locks: the package that a stream's oplock is kept by, whoever's stream it is.

A holder's request waits as long as it has the oplock; its completion is the break. What another open does is held
against `Oplock.check`, which begins the breaks and answers the event to wait for, if the operation has to wait for an
acknowledgement. Levels and what breaks them: "Oplock Semantics" and "Breaking Oplocks" of the driver documentation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntFlag
from struct import Struct

from harness.nt import NtStatus
from harness.nt.words import word
from harness.reference.machine.scheduler.dispatcher import Event

ACKNOWLEDGEMENT_TICKS = 50_000_000
"""How long an acknowledgement is waited for: five seconds, in 100 ns. See docs/open-questions.md."""
BROKEN_TO_LEVEL_2, BROKEN_TO_NONE = 7, 8
"""FILE_OPLOCK_BROKEN_TO_*: Information of the request that is broken."""
_OUTPUT = Struct("<HHIIIIH2x")
_ACK_REQUIRED = 1


@word
class Cache(IntFlag):
    """OPLOCK_LEVEL_CACHE_*."""

    NONE = 0
    READ = 1
    HANDLE = 2
    WRITE = 4


RH, RW, RWH = Cache.READ | Cache.HANDLE, Cache.READ | Cache.WRITE, Cache.READ | Cache.WRITE | Cache.HANDLE
GRANTABLE = frozenset({Cache.READ, RH, RW, RWH})


class Kind(Enum):
    """How an oplock was asked for."""

    LEVEL_1 = "level 1"
    LEVEL_2 = "level 2"
    BATCH = "batch"
    FILTER = "filter"
    CACHE = "FSCTL_REQUEST_OPLOCK"


class Does(Enum):
    """What an operation does to a stream."""

    OPEN = "open"
    OPEN_TO_WRITE = "open to write or delete"
    OVERWRITE = "open and overwrite"
    SHARE_CONFLICT = "open against sharing"
    READ = "read"
    WRITE = "write, set a size or lock"
    RENAME = "rename, link or delete"
    CHANGE_ENTRIES = "change what a directory lists"


_OPENS = (Does.OPEN, Does.OPEN_TO_WRITE, Does.OVERWRITE)
_LEVELS = {Kind.LEVEL_1: RW, Kind.LEVEL_2: Cache.READ, Kind.BATCH: RWH, Kind.FILTER: RH}
Complete = Callable[[int, int, bytes], None]
"""Ends a holder's request: status, Information, output."""


@dataclass(eq=False, slots=True)
class Holder:
    """An open that has an oplock, or has not acknowledged its break yet."""

    owner: object
    key: object
    kind: Kind
    level: Cache
    complete: Complete | None
    """None once the request has ended: the oplock is being broken."""
    breaking_to: Cache | None = None

    @property
    def exclusive(self) -> bool:
        return bool(self.level & Cache.WRITE) or self.kind is Kind.FILTER


class Oplock:
    """The oplock of one stream. `signal` wakes who waits for an event."""

    def __init__(self, signal: Callable[[Event], None]) -> None:
        self._signal = signal
        self.holders: list[Holder] = []
        self._settled = Event("an oplock break to be acknowledged")

    # --- asking for one --------------------------------------------------------------------------------------------

    def request(self, wanted: Holder, *, opens: int, locks: bool) -> int:
        """Grant an oplock: PENDING, or why not. `opens` counts the handles of the stream that are not of its key."""
        if any(holder.breaking_to is not None for holder in self.holders):
            return int(NtStatus.OPLOCK_NOT_GRANTED)
        others = [holder for holder in self.holders if holder.key != wanted.key]
        mine = [holder for holder in self.holders if holder.key == wanted.key]
        if wanted.exclusive:
            if opens or others or any(holder.exclusive and wanted.kind is not Kind.CACHE for holder in mine):
                return int(NtStatus.OPLOCK_NOT_GRANTED)
        elif locks or any(holder.exclusive for holder in others) or not self._may_share(wanted, others):
            return int(NtStatus.OPLOCK_NOT_GRANTED)
        if any(holder.exclusive and not wanted.exclusive for holder in mine):
            return int(NtStatus.OPLOCK_NOT_GRANTED)
        for holder in mine:
            if wanted.kind is Kind.CACHE or wanted.exclusive:
                self._switch(holder, wanted)
        self.holders.append(wanted)
        return int(NtStatus.PENDING)

    @staticmethod
    def _may_share(wanted: Holder, others: list[Holder]) -> bool:
        if wanted.level & Cache.HANDLE:
            return all(holder.kind is Kind.CACHE for holder in others)
        if wanted.kind is Kind.LEVEL_2:
            return not any(holder.level & Cache.HANDLE for holder in others)
        return True

    def _switch(self, holder: Holder, wanted: Holder) -> None:
        """The same open, or one of its key, asks for another oplock instead."""
        self.holders.remove(holder)
        if holder.kind is Kind.CACHE:
            output = _output(holder.level, wanted.level, ack=False)
            self._end(holder, int(NtStatus.OPLOCK_SWITCHED_TO_NEW_HANDLE), 0, output)
        else:
            self._end(holder, int(NtStatus.SUCCESS), BROKEN_TO_NONE, b"")

    # --- breaking --------------------------------------------------------------------------------------------------

    def check(self, does: Does, owner: object, key: object) -> Event | None:
        """Break what an operation breaks; the event to wait for before it may go on, if it has to."""
        wait = False
        for holder in list(self.holders):
            level = _left(holder, does, same=holder.key == key, own=holder.owner is owner)
            if holder.breaking_to is not None:
                if holder.key != key and (level is not None or does in _OPENS):
                    holder.breaking_to &= level if level is not None else holder.breaking_to
                    wait |= _must_wait(holder, does)
            elif level is not None:
                wait |= self._break(holder, level) and _must_wait(holder, does)
        return self._settled if wait else None

    def would_break(self, does: Does, owner: object, key: object) -> bool:
        """Whether an operation would break an oplock, or have to wait for a break that is under way."""
        return any(
            _left(holder, does, same=holder.key == key, own=holder.owner is owner) is not None
            or (holder.breaking_to is not None and holder.key != key)
            for holder in self.holders
        )

    def _break(self, holder: Holder, level: Cache) -> bool:
        """Begin the break of one holder; whether it has to be acknowledged."""
        ack = holder.exclusive or bool(holder.level & Cache.HANDLE)
        before = holder.level
        if ack:
            holder.breaking_to = level
            self._settled.state = False
        else:
            self.holders.remove(holder)
        if holder.kind is Kind.CACHE:
            self._end(holder, int(NtStatus.SUCCESS), _OUTPUT.size, _output(before, level, ack=ack))
        else:
            to = BROKEN_TO_LEVEL_2 if level else BROKEN_TO_NONE
            self._end(holder, int(NtStatus.SUCCESS), to, b"")
        return ack

    @staticmethod
    def _end(holder: Holder, status: int, information: int, output: bytes) -> None:
        complete, holder.complete = holder.complete, None
        if complete is not None:
            complete(status, information, output)

    def breaking(self, owner: object) -> Holder | None:
        """The holder of an open that has a break to acknowledge."""
        return next((item for item in self.holders if item.owner is owner and item.breaking_to is not None), None)

    @property
    def is_breaking(self) -> bool:
        return any(holder.breaking_to is not None for holder in self.holders)

    # --- acknowledging -----------------------------------------------------------------------------------------------

    def acknowledge(
        self, owner: object, complete: Complete, *, keep: bool = True, level: Cache | None = None
    ) -> tuple[int, int]:
        """The holder agrees: (status, Information).

        PENDING if it keeps a lower oplock; `complete` tells of its break then.
        """
        holder = self.breaking(owner)
        if holder is None:
            return int(NtStatus.INVALID_OPLOCK_PROTOCOL), 0
        assert holder.breaking_to is not None
        kept = holder.breaking_to if level is None else level
        if kept & ~holder.breaking_to:
            return int(NtStatus.INVALID_OPLOCK_PROTOCOL), 0
        self.holders.remove(holder)
        self._settle()
        if not kept or not keep:
            return int(NtStatus.SUCCESS), BROKEN_TO_NONE if holder.kind is not Kind.CACHE and keep else 0
        kind = Kind.CACHE if holder.kind is Kind.CACHE else Kind.LEVEL_2
        self.holders.append(Holder(owner, holder.key, kind, kept if kind is Kind.CACHE else Cache.READ, complete))
        return int(NtStatus.PENDING), 0

    def close_pending(self, owner: object) -> int:
        """FSCTL_OPBATCH_ACK_CLOSE_PENDING: the holder will close its handle; who waits goes on waiting."""
        return int(NtStatus.SUCCESS if self.breaking(owner) is not None else NtStatus.INVALID_OPLOCK_PROTOCOL)

    def settled(self) -> Event | None:
        """FSCTL_OPLOCK_BREAK_NOTIFY: the event to wait for, if a break is going on."""
        return self._settled if self.is_breaking else None

    def give_up(self) -> None:
        """The holders that have not acknowledged their breaks lose their oplocks: nobody waits for them any longer."""
        self.holders = [holder for holder in self.holders if holder.breaking_to is None]
        self._settle()

    def _settle(self) -> None:
        if not self.is_breaking:
            self._settled.state = True
            self._signal(self._settled)

    # --- the end -----------------------------------------------------------------------------------------------------

    def cancel(self, holder: Holder) -> bool:
        """The holder's request is taken back; False if it has ended."""
        if holder not in self.holders or holder.complete is None:
            return False
        self.holders.remove(holder)
        self._end(holder, int(NtStatus.CANCELLED), 0, b"")
        self._settle()
        return True

    def cleanup(self, owner: object) -> None:
        """A handle is gone, and with it what it held and owed."""
        for holder in [holder for holder in self.holders if holder.owner is owner]:
            self.holders.remove(holder)
            if holder.kind is Kind.CACHE:
                self._end(holder, int(NtStatus.OPLOCK_HANDLE_CLOSED), 0, b"")
            else:
                self._end(holder, int(NtStatus.SUCCESS), BROKEN_TO_NONE, b"")
        self._settle()


def level_of(kind: Kind) -> Cache:
    """What a holder of an older oplock caches."""
    return _LEVELS[kind]


def _output(before: Cache, after: Cache, *, ack: bool) -> bytes:
    """REQUEST_OPLOCK_OUTPUT_BUFFER."""
    return _OUTPUT.pack(1, _OUTPUT.size, int(before), int(after), _ACK_REQUIRED if ack else 0, 0, 0)


def _must_wait(holder: Holder, does: Does) -> bool:
    """Whether an operation waits for the acknowledgement: it does not for who cached only reads and its handle."""
    return holder.exclusive or does in (Does.SHARE_CONFLICT, Does.RENAME)


def _left(holder: Holder, does: Does, *, same: bool, own: bool) -> Cache | None:
    """What an operation leaves of an oplock; None if it leaves all."""
    if holder.kind is Kind.LEVEL_2:
        return Cache.NONE if does in (Does.WRITE, Does.OVERWRITE) else None
    if same or own:
        return None
    if does in (Does.WRITE, Does.OVERWRITE, Does.CHANGE_ENTRIES):
        return Cache.NONE
    if holder.kind is Kind.FILTER:
        return Cache.NONE if does in (Does.SHARE_CONFLICT, Does.RENAME, Does.OPEN_TO_WRITE) else None
    if does in (Does.OPEN, Does.OPEN_TO_WRITE):
        if not holder.level & Cache.WRITE:
            return None
        return Cache.READ if holder.kind is not Kind.CACHE else holder.level & ~Cache.WRITE
    if does is Does.READ:
        return holder.level & ~Cache.WRITE if holder.level & Cache.WRITE else None
    # A sharing conflict or a rename: who caches the handle gives it up; an older exclusive oplock falls to level 2.
    if not holder.level & Cache.HANDLE:
        return None
    return holder.level & ~Cache.HANDLE if holder.kind is Kind.CACHE else Cache.READ
