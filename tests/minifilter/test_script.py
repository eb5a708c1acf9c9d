"""What is wrong with an I/O script is told by line and column, from the grammar that fltprobe itself has."""

import pytest

from harness.minifilter.script import mistakes


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
        ("read f length=many", 15, "length= takes a number, decimal or 0x..., not 'many'"),
        ("write f fill=0x100", 14, "fill= is at most 0xFF"),
        ("open f V:\\a access=rw,raed", 20, "access= has no word 'raed'; did you mean 'read'?"),
        ("query f class=basik", 15, "class= has no word 'basik'; did you mean 'basic'?"),
        ("fsctl f code=1 hex=0g", 20, "hex= takes pairs of hexadecimal digits, not '0g'"),
        ("spawn t map v s protect=rx", 25, "protect= has no word 'rx'; it takes read, readwrite"),
    ],
)
def test_a_mistake_has_its_place_and_what_was_perhaps_meant(line: str, column: int, text: str):
    (mistake,) = mistakes(f"\n{line}\nflush f\n")

    assert (mistake.line, mistake.column) == (2, column)
    assert mistake.text.startswith(text)
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
        "open f V:\\a access=rw,0x40000 options=0x20 share=",
        "query f class=68",
        "rule pending major=read do=pend hold=yes process=any",
        "revert",
    ],
)
def test_what_fltprobe_takes_is_no_mistake(line: str):
    assert mistakes(line) == []


def test_every_line_is_looked_at():
    assert [mistake.line for mistake in mistakes("opne f\nflush f\nread f")] == [1, 3]


def test_a_name_that_no_line_before_has_given_is_told_where_the_minifilters_are_known():
    script = r"""
        open f V:\a
        read f length=1 async=one
        wait oen
        spawn two flush g
        wait two
        section s f
        map v t
        release pendng
        open r b relative=ff
    """

    told = [(found.line, found.column, found.text) for found in mistakes(script, ["pending"])]

    assert told == [
        (4, 14, "no async= and no `spawn` names this operation: 'oen'; did you mean 'one'?"),
        (5, 25, "no `open` line names this file: 'g'"),
        (8, 15, "no `section` line names this section: 't'"),
        (9, 17, "no minifilter of the stack, and no `filter` line, has this label: 'pendng'; did you mean 'pending'?"),
        (10, 27, "no `open` line names this file: 'ff'; did you mean 'f'?"),
    ]
    assert mistakes(script) == []
