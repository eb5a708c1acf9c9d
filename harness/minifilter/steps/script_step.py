"""A step of an I/O script as an object: what the functions of this package make, and `lab.io` runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

T = TypeVar("T", bound=str)
OneOrMore: TypeAlias = T | int | Sequence[T | int]
"""Words of a key that takes several, as fltprobe spells them, or the bits themselves."""


@dataclass(frozen=True, eq=False)
class ScriptStep:
    """One step, as its line. It stands for the name that it gives: `read(file, …)` of the `file` that was opened.

    `lab.io(…)[step]` is what came of it.
    """

    text: str
    name: str = ""

    def __str__(self) -> str:
        return self.text


Named: TypeAlias = str | ScriptStep
"""A file, operation, section, view, port or minifilter: by its name, or by the step that gave it the name."""


def line(verb: str, *operands: Named, plain: Sequence[str] = (), **keys: object) -> ScriptStep:
    """A step by its verb, its operands in their places, plain words, and keys; a key that is None is not given.

    Keys are spelled as the parameters of this package: `ea_text` is `ea-text=`.
    """
    words = [verb, *(_quoted(name_of(operand)) for operand in operands)]
    for key, value in keys.items():
        if value is not None:
            words.append(f"{KEYS.get(key, key).replace('_', '-')}={_quoted(_value(value))}")
    return ScriptStep(" ".join([*words, *plain]), name_of(operands[0]) if operands else "")


KEYS = {"async_": "async", "in_zeros": "in", "class_": "class", "data": "hex", "message": "data", "max_": "max"}
"""Parameters that are not called as their key: it is a word of Python, or says what is given better."""


def name_of(named: Named) -> str:
    return named.name if isinstance(named, ScriptStep) else named


def plain(**given: bool) -> list[str]:
    """The plain words of those that are true."""
    return [word.replace("_", "-") for word, is_given in given.items() if is_given]


def _value(value: object) -> str:
    if isinstance(value, ScriptStep):
        return value.name
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value) if 0 <= value < 10 else f"0x{value:X}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(_value(one) for one in value)
    return str(value)


def _quoted(text: str) -> str:
    r"""A word as a script has it. ValueError for a quotation mark or the end of a line, which no word can have."""
    if '"' in text or "\n" in text or "\r" in text:
        raise ValueError(f"a word of an I/O script has no quotation mark and no end of a line: {text!r}")
    return f'"{text}"' if not text or text[0] == "#" or any(character in " \t" for character in text) else text
