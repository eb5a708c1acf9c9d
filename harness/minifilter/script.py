"""What is wrong with an I/O script: by line and column, before anything runs it."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from harness.errors import did_you_mean
from harness.minifilter.script_grammar import GRAMMAR, Name, Number, Plain, Value, Verb, Words

MOST_WORDS = 40
NOT_SPAWNED = frozenset({"filter", "spawn", "deadline"})


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


class _Names:
    """The names that the lines so far have given."""

    def __init__(self, filters: Collection[str]) -> None:
        self._given: dict[Name, dict[str, None]] = {kind: {} for kind in Name}
        self._given[Name.FILTER] = dict.fromkeys(filters)

    def give(self, kind: Name, name: str) -> None:
        self._given[kind][name] = None

    def require(self, kind: Name, name: str, column: int) -> None:
        known = self._given[kind]
        if kind is Name.PORT:  # a minifilter's control port is one, too
            known = {**known, **self._given[Name.FILTER]}
        if name not in known:
            raise _Wrong(column, f"no {kind.value}: {name!r}{did_you_mean(name, known)}")


class _Wrong(Exception):
    def __init__(self, column: int, text: str) -> None:
        super().__init__(text)
        self.column = column


_WORD = re.compile(r'(?:[^ \t"]|"[^"]*(?:"|$))+')


def mistakes(script: str, filters: Collection[str] | None = None) -> list[Mistake]:
    """What fltprobe would not take, the first of each line.

    With the labels of the stack's minifilters names are looked at, too: of files, operations, sections, views, ports.
    """
    found = []
    names = None if filters is None else _Names(filters)
    for number, source in enumerate(script.splitlines(), start=1):
        try:
            words = list(_cut(source))
            if words:
                _check(words, names)
        except _Wrong as wrong:
            found.append(Mistake(number, wrong.column, str(wrong), source))
    return found


def words_of(line: str) -> list[str]:
    """The words of a line that has nothing wrong with it."""
    return [word.text for word in _cut(line)]


def _cut(source: str) -> Iterator[_Word]:
    """The words of a line: blanks separate, quotation marks keep blanks, `#` begins a comment where a word would."""
    for count, found in enumerate(_WORD.finditer(source), start=1):
        text = found[0]
        if text[0] == "#":
            return
        begin = found.start()
        if '"' in text:
            if text.count('"') % 2:
                raise _Wrong(begin + 1, "a quotation mark is missing")
            text = text.replace('"', "")
        if count > MOST_WORDS:
            raise _Wrong(begin + 1, f"more than {MOST_WORDS} words in one line")
        yield _Word(text, begin + 1)


def _check(words: list[_Word], names: _Names | None) -> None:
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
        _check_names(verb, words, [], names)
        _check(inner, names)
        return
    options = 1 + verb.operands
    # An operand that may be left out, unless it is one of the plain words.
    while options < len(words) and options <= (verb.most_operands or 0) and words[options].text not in verb.words:
        options += 1
    _check_options(first, verb, words[options:])
    _check_names(verb, words, words[options:], names)


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
            _check_value(word, key, verb.values[key])
    for key in verb.required:
        if key not in given:
            end = (options[-1] if options else first).column
            raise _Wrong(end, f"{first.text} needs {key}=")


def _check_value(word: _Word, key: str, kind: Value) -> None:
    column, text = word.column + len(key) + 1, word.text[len(key) + 1 :]
    match kind:
        case Number(most):
            number = _number(text)
            if number is None:
                raise _Wrong(column, f"{key}= takes a number, decimal or 0x..., not {text!r}")
            if number > most:
                raise _Wrong(column, f"{key}= is at most 0x{most:X}")
        case Words(several=True):
            for one in _parts(text):
                if one not in kind.words and _number(one) is None:
                    raise _Wrong(column, _no_word(key, one, kind.words))
        case Words():
            if text not in kind.words and not (kind.or_number and _number(text) is not None):
                raise _Wrong(column, _no_word(key, text, kind.words))
        case Plain.BYTES:
            if not _BYTES.fullmatch(text):
                raise _Wrong(column, f"{key}= takes pairs of hexadecimal digits, not {text!r}")


def _parts(text: str) -> list[str]:
    """The words between commas; one at the end makes no further word."""
    return text.removesuffix(",").split(",") if text else []


def _no_word(key: str, text: str, known: Collection[str]) -> str:
    return f"{key}= has no word {text!r}{did_you_mean(text, known) or '; it takes ' + ', '.join(known)}"


_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_BYTES = re.compile(r"(?:[0-9a-fA-F]{2})*")


def _number(text: str) -> int | None:
    if not _NUMBER.fullmatch(text):
        return None
    return int(text, 0) if text[1:2] in {"x", "X"} else int(text)


def _check_names(verb: Verb, words: list[_Word], options: list[_Word], names: _Names | None) -> None:
    if names is None:
        return
    used = [(kind, _named(at, words, options)) for at, kind in verb.uses.items()]
    given = [(kind, _named(at, words, options)) for at, kind in verb.gives.items()]
    try:
        for kind, word in used:
            if word is not None:
                names.require(kind, word.text, word.column)
    finally:  # also of a line that is wrong, so that those after it are not told for its sake
        for kind, word in given:
            if word is not None:
                names.give(kind, word.text)


def _named(at: int | str, words: list[_Word], options: list[_Word]) -> _Word | None:
    """The name at a place, or behind a key."""
    if isinstance(at, int):
        return words[at]
    return next((_Word(w.text[len(at) + 1 :], w.column + len(at) + 1) for w in options if w.key == at), None)
