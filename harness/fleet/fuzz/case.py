"""A case: the steps of an I/O script as something that can be changed, cut and put together."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from harness.minifilter.script import mistakes, words_of
from harness.minifilter.script_grammar import GRAMMAR

_NEEDS_QUOTATION = re.compile(r"^$|^#|[ \t]").search
_NOT_OURS = frozenset({"filter", "rule", "attach", "detach", "load", "unload", "spawn", "await", "deadline"})
"""Steps that need another process or filter, or that would take away what is tried."""


@dataclass(frozen=True)
class Step:
    """One line: the verb, its operands, its `key=value` words, and its plain words."""

    verb: str
    operands: tuple[str, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        keys = (f"{key}={value}" for key, value in self.keys)
        return " ".join(map(_quoted, (self.verb, *self.operands, *keys, *self.words)))

    def value(self, key: str) -> str | None:
        """What a key is given."""
        return dict(self.keys).get(key)

    def given(self, key: str, value: str | None) -> "Step":
        """The same with another value of a key; None takes it away."""
        others = tuple(item for item in self.keys if item[0] != key)
        return Step(self.verb, self.operands, others if value is None else (*others, (key, value)), self.words)

    def renamed(self, suffix: str) -> "Step":
        """The same with other names of files, ports and whatever else has one."""
        named = {**GRAMMAR[self.verb].uses, **GRAMMAR[self.verb].gives}
        operands = tuple(word + suffix if at in named else word for at, word in enumerate(self.operands, start=1))
        keys = tuple((key, value + suffix if key in named else value) for key, value in self.keys)
        return Step(self.verb, operands, keys, self.words)


Case = tuple[Step, ...]


def script_of(case: Iterable[Step]) -> str:
    """A case as an I/O script."""
    return "".join(f"{step}\n" for step in case)


def sound(case: Case) -> Case:
    """A case without the steps that fltprobe would not take: of names that nothing has given, or with such values."""
    wrong = {mistake.line for mistake in mistakes(script_of(case), ())}
    return tuple(step for line, step in enumerate(case, start=1) if line not in wrong)


def case_of(script: str) -> Case | None:
    """A script as a case; None if fltprobe would not take it, or it has a step of _NOT_OURS."""
    if mistakes(script, ()):
        return None
    steps = []
    for line in script.splitlines():
        words = words_of(line)
        if words:
            if words[0] in _NOT_OURS:
                return None
            steps.append(_step(words))
    return tuple(steps) or None


def _step(words: list[str]) -> Step:
    verb = GRAMMAR[words[0]]
    most = verb.most_operands or verb.operands
    count = 1 + verb.operands
    while count < len(words) and count <= most and words[count] not in verb.words:
        count += 1
    keys = tuple(tuple(word.split("=", 1)) for word in words[count:] if "=" in word)
    plain = tuple(word for word in words[count:] if "=" not in word)
    return Step(words[0], tuple(words[1:count]), keys, plain)  # type: ignore[arg-type]


def _quoted(word: str) -> str:
    plain = word.replace('"', "")
    return f'"{plain}"' if _NEEDS_QUOTATION(plain) else plain
