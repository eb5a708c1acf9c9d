"""The grammar of the I/O script, and what is wrong with a script: by line and column, before anything runs it.

fltprobe holds every line against the same grammar (drivers/fltprobe/grammar.c); tests/architecture holds the two
against each other. What a key's value may be is fltprobe's to judge.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.errors import did_you_mean

MOST_WORDS = 40
NOT_SPAWNED = frozenset({"filter", "spawn", "deadline"})


@dataclass(frozen=True)
class Verb:
    """What one step may say: operands by their place, then keys and plain words in any order."""

    operands: int
    most_operands: int | None
    keys: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def _verb(operands: int, most: int | None, keys: str = "", words: str = "") -> Verb:
    """A verb as grammar.c writes it: a `+` marks a key that must be given."""
    names = keys.split()
    required = tuple(name[1:] for name in names if name.startswith("+"))
    return Verb(operands, most, tuple(name.removeprefix("+") for name in names), required, tuple(words.split()))


GRAMMAR: Mapping[str, Verb] = {
    "filter": _verb(1, 2, "", "prints"),
    "debug-print": _verb(1, 1),
    "rule": _verb(
        1,
        1,
        "major minor class process paging name skip max do status information context delay hold mechanism resume race "
        "read-own offset dirty set-context pre-context post-context post post-status post-mechanism post-hold",
    ),
    "release": _verb(1, 1, "rule"),
    "expect-held": _verb(1, 1, "+count timeout"),
    "expect-events": _verb(1, 1, "+count major phase timeout"),
    "connect": _verb(2, 2, "context"),
    "disconnect": _verb(1, 1),
    "send-message": _verb(1, 1, "data room"),
    "get-message": _verb(1, 1, "timeout"),
    "reply": _verb(1, 1, "data status"),
    "answer": _verb(1, 1, "contains at data status delay max", "silent"),
    "serve": _verb(1, 1, "threads"),
    "expect-messages": _verb(1, 1, "+count timeout"),
    "signal": _verb(1, 1),
    "await": _verb(1, 1, "timeout"),
    "attach": _verb(1, 1, "volume service instance"),
    "detach": _verb(1, 1, "volume service instance"),
    "load": _verb(1, 1),
    "unload": _verb(1, 1),
    "stop": _verb(1, 1),
    "open": _verb(2, 2, "access share disposition options attributes allocation relative"),
    "open-by-id": _verb(2, 2, "access share options"),
    "delete": _verb(1, 1),
    "close": _verb(1, 1),
    "read": _verb(1, 1, "offset +length async"),
    "write": _verb(1, 1, "offset length fill text async"),
    "flush": _verb(1, 1),
    "lock": _verb(1, 1, "+offset +length async", "shared wait"),
    "unlock": _verb(1, 1, "+offset +length"),
    "fsctl": _verb(1, 1, "+code in hex out async"),
    "ioctl": _verb(1, 1, "+code in hex out async"),
    "notify": _verb(1, 1, "filter async", "tree"),
    "cancel": _verb(1, 1, "async"),
    "query": _verb(1, 1, "+class"),
    "set": _verb(1, 1, "+class value path", "replace"),
    "query-path": _verb(1, 1),
    "query-volume": _verb(1, 1, "+class"),
    "directory": _verb(1, 1, "pattern class", "single continue"),
    "query-ea": _verb(1, 1),
    "set-ea": _verb(1, 1, "+name text"),
    "query-security": _verb(1, 1, "information"),
    "set-security": _verb(1, 1, "information"),
    "section": _verb(2, 2, "protect size", "image"),
    "map": _verb(2, 2, "protect length"),
    "peek": _verb(1, 1, "+offset length"),
    "poke": _verb(1, 1, "+offset length +fill"),
    "unmap": _verb(1, 1),
    "close-section": _verb(1, 1),
    "wait": _verb(1, 1, "timeout"),
    "sleep": _verb(1, 1),
    "spawn": _verb(2, None),
    "deadline": _verb(1, 1),
}


@dataclass(frozen=True)
class Mistake:
    """What is wrong at one place of a script; line and column count from 1."""

    line: int
    column: int
    text: str
    source: str

    def lines(self) -> tuple[str, ...]:
        """The line, and a mark below the place."""
        source = self.source.replace("\t", " ")
        return (source, " " * (self.column - 1) + "^")


@dataclass(frozen=True)
class _Word:
    text: str
    column: int

    @property
    def key(self) -> str | None:
        """What stands before the `=` of a key=value word."""
        key, separator, _ = self.text.partition("=")
        return key if separator and key else None


class _Wrong(Exception):
    def __init__(self, column: int, text: str) -> None:
        super().__init__(text)
        self.column = column


def mistakes(script: str) -> list[Mistake]:
    """What fltprobe would not take, the first of each line."""
    found = []
    for number, source in enumerate(script.splitlines(), start=1):
        try:
            words = list(_cut(source))
            if words:
                _check(words)
        except _Wrong as wrong:
            found.append(Mistake(number, wrong.column, str(wrong), source))
    return found


def words_of(line: str) -> list[str]:
    """The words of a line that has nothing wrong with it."""
    return [word.text for word in _cut(line)]


def _cut(source: str) -> Iterator[_Word]:
    """The words of a line: blanks separate, quotation marks keep blanks, `#` begins a comment where a word would."""
    at, count = 0, 0
    while at < len(source):
        if source[at] in " \t":
            at += 1
            continue
        if source[at] == "#":
            return
        begin, quoted, text = at, False, ""
        while at < len(source) and (quoted or source[at] not in " \t"):
            if source[at] == '"':
                quoted = not quoted
            else:
                text += source[at]
            at += 1
        if quoted:
            raise _Wrong(begin + 1, "a quotation mark is missing")
        count += 1
        if count > MOST_WORDS:
            raise _Wrong(begin + 1, f"more than {MOST_WORDS} words in one line")
        yield _Word(text, begin + 1)


def _check(words: list[_Word]) -> None:
    first = words[0]
    verb = GRAMMAR.get(first.text)
    if verb is None:
        raise _Wrong(first.column, f"there is no step {first.text!r}{did_you_mean(first.text, GRAMMAR)}")
    if len(words) <= verb.operands:
        end = words[-1].column + len(words[-1].text)
        raise _Wrong(end, f"{first.text} needs {verb.operands} word{'s' if verb.operands > 1 else ''} after it")
    if first.text == "spawn":
        inner = words[2:]
        if inner[0].text in NOT_SPAWNED:
            raise _Wrong(inner[0].column, f"{inner[0].text} cannot be spawned")
        _check(inner)
        return
    options = 1 + verb.operands
    # An operand that may be left out, unless it is one of the plain words.
    while options < len(words) and options <= (verb.most_operands or 0) and words[options].text not in verb.words:
        options += 1
    _check_options(first, verb, words[options:])


def _check_options(first: _Word, verb: Verb, options: list[_Word]) -> None:
    given: set[str] = set()
    for word in options:
        key = word.key
        if key is None:
            if word.text not in verb.words:
                known = (*verb.words, *verb.keys)
                raise _Wrong(word.column, f"{first.text} has no word {word.text!r}{did_you_mean(word.text, known)}")
        elif key not in verb.keys:
            raise _Wrong(word.column, f"{first.text} has no key {key!r}{did_you_mean(key, verb.keys)}")
        elif key in given:
            raise _Wrong(word.column, f"{key}= is given twice")
        else:
            given.add(key)
    for key in verb.required:
        if key not in given:
            end = (options[-1] if options else first).column
            raise _Wrong(end, f"{first.text} needs {key}=")
