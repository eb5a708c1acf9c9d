"""The grammar of the I/O script as data: each step with its names, keys and words, and what the values of keys may be.

fltprobe holds every line against the same grammar (drivers/fltprobe/grammar.c); tests/architecture holds the two
against each other, and the functions of harness/minifilter/steps against this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, get_args

from harness.minifilter import script_words as words

MOST_BUFFER = 0x400_0000
"""Bytes of the largest buffer of a request."""
_32_BITS, _64_BITS = (1 << 32) - 1, (1 << 64) - 1


@dataclass(frozen=True)
class Number:
    """A number, decimal or 0x..."""

    most: int = _64_BITS


@dataclass(frozen=True)
class Words:
    """One of these words; `several`: joined with commas, numbers among them; `or_number`: or a number alone."""

    words: tuple[str, ...]
    several: bool = False
    or_number: bool = False


class Plain(Enum):
    """Values without words of their own: pairs of hexadecimal digits, or any text."""

    BYTES = "bytes"
    TEXT = "text"


Value = Number | Words | Plain


class Name(Enum):
    """What a name stands for; the value says which line gives one."""

    FILE = "`open` line names this file"
    OPERATION = "async= and no `spawn` names this operation"
    SECTION = "`section` line names this section"
    VIEW = "`map` line names this view"
    FILTER = "minifilter of the stack, and no `filter` line, has this label"
    PORT = "`connect` line names this port"


@dataclass(frozen=True)
class Verb:
    """What one step may say: operands by their place, then keys and plain words in any order.

    `uses` and `gives` are the operands, by their place from 1, and the keys that name something.
    """

    operands: int
    most_operands: int | None
    keys: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    uses: Mapping[int | str, Name] = field(default_factory=dict)
    gives: Mapping[int | str, Name] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)


def _one_of(words_of: Any, *, several: bool = False, or_number: bool = False) -> Words:
    return Words(get_args(words_of), several, or_number)


_BUFFER, _BYTE, _32, _64 = Number(MOST_BUFFER), Number(0xFF), Number(_32_BITS), Number()
_YES = Words(("yes", "no"))
_EVERYWHERE: Mapping[str, Value] = {
    **dict.fromkeys(("length", "room", "in", "out"), _BUFFER),
    **dict.fromkeys(("offset", "allocation", "size", "limit", "threshold", "value"), _64),
    **dict.fromkeys(("timeout", "count", "code", "key", "information", "status", "delay", "max", "threads", "at"), _32),
    "fill": _BYTE,
    "rule": _32,
    **dict.fromkeys(("hex", "data", "contains", "sid", "descriptor"), Plain.BYTES),
    "access": _one_of(words.Access, several=True),
    "share": _one_of(words.Share, several=True),
    "disposition": _one_of(words.Disposition, several=True),
    "options": _one_of(words.Option, several=True),
    "attributes": _one_of(words.Attribute, several=True),
    "filter": _one_of(words.Change, several=True),
    "flags": _one_of(words.RenameFlag, several=True),
    "protect": _one_of(words.Protection),
    "major": _one_of(words.Major),
    "phase": _one_of(words.PhaseWord),
}
"""What a key takes in every step that has it, unless the step says otherwise."""
_OF_RULES: Mapping[str, Value] = {
    "minor": Number(0xFFFF),
    "class": _one_of(words.RuleClass),
    "process": Words(("any",), or_number=True),
    "skip": _32,
    "do": _one_of(words.Action),
    "information": _64,
    "context": _64,
    "mechanism": _one_of(words.Mechanism),
    "resume": _one_of(words.Resume),
    "post": _one_of(words.PostAction),
    "post-status": _32,
    "post-mechanism": _one_of(words.Mechanism),
    **dict.fromkeys(("paging", "hold", "race", "read-own", "dirty", "swap", "post-hold"), _YES),
    **dict.fromkeys(("set-context", "pre-context", "post-context"), _one_of(words.Context)),
}
_FILE: Mapping[int | str, Name] = {1: Name.FILE}
_ASYNC: Mapping[int | str, Name] = {"async": Name.OPERATION}
_FILTER: Mapping[int | str, Name] = {1: Name.FILTER}
_PORT: Mapping[int | str, Name] = {1: Name.PORT}


def _verb(
    operands: int,
    most: int | None,
    keys: str = "",
    plain: str = "",
    *,
    uses: Mapping[int | str, Name] | None = None,
    gives: Mapping[int | str, Name] | None = None,
    own: Mapping[str, Value] | None = None,
) -> Verb:
    """A verb as grammar.c writes it: a `+` marks a key that must be given. `own` are values unlike those elsewhere."""
    names = [name.removeprefix("+") for name in keys.split()]
    required = tuple(name[1:] for name in keys.split() if name.startswith("+"))
    kinds = {name: (own or {}).get(name, _EVERYWHERE.get(name, Plain.TEXT)) for name in names}
    return Verb(operands, most, tuple(names), required, tuple(plain.split()), uses or {}, gives or {}, kinds)


def _class(words_of: Any) -> Words:
    return _one_of(words_of, or_number=True)


GRAMMAR: Mapping[str, Verb] = {
    "filter": _verb(1, 2, "", "prints", gives=_FILTER),
    "debug-print": _verb(1, 1, uses=_FILTER),
    "rule": _verb(
        1,
        1,
        "major minor class process paging name skip max do status information context delay hold mechanism resume race "
        "read-own offset length dirty swap set-context pre-context post-context post post-status "
        "post-mechanism post-hold",
        uses=_FILTER,
        own=_OF_RULES,
    ),
    "release": _verb(1, 1, "rule", uses=_FILTER),
    "expect-held": _verb(1, 1, "+count timeout", uses=_FILTER),
    "expect-events": _verb(1, 1, "+count major phase timeout", uses=_FILTER),
    "connect": _verb(2, 2, "context", gives=_PORT, own={"context": Plain.BYTES}),
    "disconnect": _verb(1, 1, uses=_PORT),
    "send-message": _verb(1, 1, "data room", uses=_PORT),
    "get-message": _verb(1, 1, "timeout", uses=_PORT),
    "reply": _verb(1, 1, "data status", uses=_PORT),
    "answer": _verb(1, 1, "contains at data status delay max", "silent", uses=_PORT),
    "serve": _verb(1, 1, "threads", uses=_PORT),
    "expect-messages": _verb(1, 1, "+count timeout", uses=_PORT),
    "signal": _verb(1, 1),
    "await": _verb(1, 1, "timeout"),
    "attach": _verb(1, 1, "volume service instance"),
    "detach": _verb(1, 1, "volume service instance"),
    "load": _verb(1, 1),
    "unload": _verb(1, 1),
    "stop": _verb(1, 1),
    "open": _verb(
        2,
        2,
        "access share disposition options attributes allocation relative ea ea-text descriptor",
        "case-sensitive",
        uses={"relative": Name.FILE},
        gives=_FILE,
    ),
    "open-by-id": _verb(2, 2, "access share options", uses={2: Name.FILE}, gives=_FILE),
    "delete": _verb(1, 1),
    "close": _verb(1, 1, uses=_FILE),
    "read": _verb(1, 1, "offset +length key async", "whole", uses=_FILE, gives=_ASYNC),
    "write": _verb(1, 1, "offset length fill text hex key async", uses=_FILE, gives=_ASYNC),
    "flush": _verb(1, 1, uses=_FILE),
    "lock": _verb(1, 1, "+offset +length key async", "shared wait", uses=_FILE, gives=_ASYNC, own={"length": _64}),
    "unlock": _verb(1, 1, "+offset +length key", uses=_FILE, own={"length": _64}),
    "fsctl": _verb(1, 1, "+code in hex out async", uses=_FILE, gives=_ASYNC),
    "ioctl": _verb(1, 1, "+code in hex out async", uses=_FILE, gives=_ASYNC),
    "notify": _verb(1, 1, "filter room async", "tree", uses=_FILE, gives=_ASYNC),
    "oplock": _verb(1, 1, "+level async", uses=_FILE, gives=_ASYNC, own={"level": _one_of(words.OplockLevel)}),
    "acknowledge-oplock": _verb(
        1, 1, "level async", "no-2 close-pending", uses=_FILE, gives=_ASYNC, own={"level": _one_of(words.OplockLevel)}
    ),
    "cancel": _verb(1, 1, "async", "own", uses={1: Name.FILE, "async": Name.OPERATION}),
    "cancel-synchronous": _verb(1, 1, uses={1: Name.OPERATION}),
    "query": _verb(1, 1, "+class room", uses=_FILE, own={"class": _class(words.QueryClass)}),
    "set": _verb(
        1,
        1,
        "+class value hex path name relative flags",
        "replace",
        uses={1: Name.FILE, "relative": Name.FILE},
        own={"class": _class(words.SetClass)},
    ),
    "query-path": _verb(1, 1),
    "query-volume": _verb(1, 1, "+class room", uses=_FILE, own={"class": _class(words.VolumeClass)}),
    "set-volume": _verb(1, 1, "+class text hex", uses=_FILE, own={"class": _class(words.SetVolumeClass)}),
    "directory": _verb(
        1,
        1,
        "pattern class room async",
        "single continue whole",
        uses=_FILE,
        gives=_ASYNC,
        own={"class": _class(words.DirectoryClass)},
    ),
    "query-ea": _verb(1, 1, "name", "single continue", uses=_FILE),
    "set-ea": _verb(1, 1, "+name text", uses=_FILE),
    "query-security": _verb(1, 1, "information", uses=_FILE),
    "set-security": _verb(1, 1, "information hex", uses=_FILE),
    "query-quota": _verb(1, 1, "sid", "single continue", uses=_FILE),
    "set-quota": _verb(1, 1, "+sid +limit threshold", uses=_FILE),
    "impersonate": _verb(1, 1, "level", own={"level": _one_of(words.ImpersonationLevel)}),
    "revert": _verb(0, 0),
    "section": _verb(2, 2, "protect size", "image", uses={2: Name.FILE}, gives={1: Name.SECTION}),
    "map": _verb(2, 2, "protect offset length", uses={2: Name.SECTION}, gives={1: Name.VIEW}, own={"length": _64}),
    "peek": _verb(1, 1, "+offset length", uses={1: Name.VIEW}, own={"length": _64}),
    "poke": _verb(1, 1, "+offset length +fill", uses={1: Name.VIEW}, own={"length": _64}),
    "unmap": _verb(1, 1, uses={1: Name.VIEW}),
    "close-section": _verb(1, 1, uses={1: Name.SECTION}),
    "wait": _verb(1, 1, "timeout", uses={1: Name.OPERATION}),
    "sleep": _verb(1, 1),
    "spawn": _verb(2, None, gives={1: Name.OPERATION}),
    "deadline": _verb(1, 1),
}
