"""What is wrong with an I/O script is told by line and column, from the grammar that fltprobe itself has."""

import re
from pathlib import Path

import pytest

from harness.minifilter.script import Verb, mistakes

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "drivers" / "fltprobe" / "grammar.c"
ENTRY = re.compile(r'\{"(?P<verb>[\w-]+)",\s*\w+,\s*(?P<least>\d+),\s*(?P<most>\w+),\s*(?P<texts>"[^{}]*)\}')


def grammar_of_fltprobe() -> dict[str, Verb]:
    """The table in grammar.c."""
    table = SOURCE.read_text().partition("Grammar[] = {")[2].partition("\n};")[0]
    found = {}
    for entry in ENTRY.finditer(table):
        texts = [re.sub(r'"\s*"', "", text) for text in re.split(r",\s*(?=\")", entry["texts"].strip())]
        keys, words = (text.strip().strip('"').split() for text in texts)
        most = None if entry["most"] == "NO_LIMIT" else int(entry["most"])
        found[entry["verb"]] = Verb(
            int(entry["least"]),
            most,
            tuple(key.removeprefix("+") for key in keys),
            tuple(key[1:] for key in keys if key.startswith("+")),
            tuple(words),
        )
    return found


@pytest.mark.parametrize(
    ("line", "column", "text"),
    [
        ("opne f V:\\a", 1, "there is no step 'opne'; did you mean 'open'?"),
        ("read f ofset=0 length=1", 8, "read has no key 'ofset'; did you mean 'offset'?"),
        ("  notify f three", 12, "notify has no word 'three'; did you mean 'tree'?"),
        ("read f length=1 length=2", 17, "length= is given twice"),
        ("read f offset=0", 8, "read needs length="),
        ("open f", 7, "open needs 2 words after it"),
        ('open f "V:\\a b', 8, "a quotation mark is missing"),
        ("spawn t deadline 5", 9, "deadline cannot be spawned"),
        ("spawn t read f", 9, "read needs length="),
        ("close " + " ".join("x" * 40), 85, "more than 40 words in one line"),
    ],
)
def test_a_mistake_has_its_place_and_what_was_perhaps_meant(line: str, column: int, text: str):
    (mistake,) = mistakes(f"\n{line}\nflush f\n")

    assert (mistake.line, mistake.column, mistake.text) == (2, column, text)
    assert mistake.lines() == (line, " " * (column - 1) + "^")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "  # all of it is a comment",
        'open f "V:\\a b.txt" access=rw # and so is this',
        "filter above prints",
        "filter above fltlab-above prints",
        "spawn t read f length=1",
        "write f text=a=b",
    ],
)
def test_what_fltprobe_takes_is_no_mistake(line: str):
    assert mistakes(line) == []


def test_every_line_is_looked_at():
    assert [mistake.line for mistake in mistakes("opne f\nflush f\nread f")] == [1, 3]
