"""Scripts: how they are cut into words, and that what makes no sense is found before anything is done."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.minifilter.imports import SUPPORT
from harness.text import safe_line
from tests.fltprobe.conftest import Bench

DOCUMENTATION = SUPPORT.parent / "docs" / "io-script.md"
WORDS = [
    *("f", "V:\\", "V:\\a", "offset=0", "length=1", "length=100000", "class=basic", "code=0x900c0", "value=1"),
    *("count=0", "fill=1", "text=x", "async=o", "tree", "wait", "shared", "disposition=open-if", "access=rw"),
    "options=overlapped",
]
SEVERAL_RUNS = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def verbs(bench: Bench) -> list[str]:
    """Every step there is, as fltprobe lists them for one that there is not."""
    return bench.error("bake a cake").rpartition(": ")[2].split()


def test_the_documentation_has_every_step_and_no_other(bench: Bench):
    documented = re.findall(r"`([a-z-]+) <|^\| `([a-z]+)` \|", DOCUMENTATION.read_text(), re.MULTILINE)

    assert sorted({first or second for first, second in documented}) == sorted(verbs(bench))


def test_the_documentation_has_every_key(bench: Bench):
    """A key is refused with the step it is not a key of; what the documentation names is none of those."""
    text = DOCUMENTATION.read_text()
    for line in re.findall(r"^\| (`.*?`(?:, `.*?`)*) \|", text, re.MULTILINE):
        for step in re.findall(r"`(.*?)`", line.replace("\\|", "|")):
            verb = step.split()[0]
            if verb in {"rule", "spawn"}:
                continue
            for key in re.findall(r"\b([a-z-]+)=", step):
                assert "has no such key" not in bench.error(f"{verb} x y {key}=?\nbake"), (verb, key)


def test_blanks_quotes_comments_and_line_ends(bench: Bench):
    (bench.volume / "a b.txt").write_bytes(b"12345678")

    result = bench(
        "\ufeff# a comment\r\n\r\n"
        '\topen   "f" "V:\\a b.txt"   access=read # a comment\r\n'
        "read f\toffset=0 length=0x4\r\n"
        'open g V:\\"a b".txt\n'
        "read g offset=4 length=4"
    )

    assert [(step.line, step.verb, step.name, step.status) for step in result.steps] == [
        (3, "open", "f", 0),
        (4, "read", "f", 0),
        (5, "open", "g", 0),
        (6, "read", "g", 0),
    ]
    assert [step.data for step in result.all("read")] == [b"1234", b"5678"]


def test_names_and_paths_may_have_any_character(bench: Bench):
    bench('open "ƒ€😀" "V:\\ƒ€😀.txt" access=rw disposition=create\nwrite ƒ€😀 text=ä\nflush ƒ€😀')

    assert [path.name for path in bench.volume.iterdir()] == ["ƒ€😀.txt"]
    assert (bench.volume / "ƒ€😀.txt").read_bytes() == "ä".encode()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("read", "read needs more words; see docs/io-script.md"),
        ("read f offset=0", "read needs: length="),
        ("lock f offset=0", "lock needs: length="),
        ("read f ofset=0 length=1", "read has no such key: ofset=0"),
        ("read f length=1 length=2", "a key is given twice: length=2"),
        ("notify f three", "notify has no such word: three"),
        ("close f g", "close has no such word: g"),
        ("spawn x read f", "read needs: length="),
        ("spawn x spawn y flush f", "this step cannot be spawned: spawn"),
        ("rule x majr=read", "rule has no such key: majr=read"),
        ('open f "V:\\a', "a quotation mark is missing"),
        ("x " * 41, "more than 40 words in one line"),
        ("#" * 8193, "longer than 8192 bytes"),
    ],
)
def test_a_line_that_makes_no_sense_is_named_and_nothing_is_done(bench: Bench, line: str, message: str):
    ran = bench.run(f"open f V:\\new.txt disposition=create\n{line}\n")

    assert (ran.exit_code, ran.result.error) == (2, f"line 2: {message}")
    assert ran.result.steps == ()
    assert list(bench.volume.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("read f length=a", "length= takes a number, decimal or 0x..., not: a"),
        ("read f length=0x", "length= takes a number, decimal or 0x..., not: 0x"),
        ("read f length=0x4000001", "length= is at most 0x4000000: 0x4000001"),
        ("read f length=1 offset=0x10000000000000000", "offset= takes a number"),
        ("write f fill=256", "fill= is at most 0xFF: 256"),
        ("sleep long", "sleep takes milliseconds, not: long"),
        ("sleep 4294967296", "sleep takes milliseconds, not: 4294967296"),
        ("deadline 0", "a deadline of no time"),
        ("open g V:\\b.txt access=raed", "access= has no such word: raed"),
        ("query f class=colour", "there is no class=colour, but: basic standard"),
        ("set f class=position", "set needs value="),
        ("set f class=rename", "set class=rename needs path="),
        ("close g", "no `open` line names this file: g"),
        ("wait g", "no async= and no `spawn` names this operation: g"),
        ("map v g", "no `section` line names this section: g"),
        ("peek g offset=0", "no `map` line names this view: g"),
        ("rule g major=read", "no `filter` line connects to: g"),
        ("filter g", "no connection to the control port; is the minifilter loaded? (HRESULT 0x80070002): \\fltlab-g"),
    ],
)
def test_a_step_that_makes_no_sense_ends_the_script_there(bench: Bench, line: str, message: str):
    ran = bench.run(f"open f V:\\new.txt disposition=create access=rw\n{line}\nclose f\n")

    assert ran.exit_code == 2
    assert ran.result.error is not None
    assert ran.result.error.startswith(f"line 2: {message}")
    assert [(step.line, step.outstanding) for step in ran.result.steps] == [(1, False), (2, True)]


@pytest.mark.parametrize("script", ["", "\n\n", "# nothing\n", "\ufeff"])
def test_a_script_without_a_step_is_a_mistake(bench: Bench, script: str):
    assert bench.error(script) == "the script has no step (did standard input arrive?)"


@pytest.mark.parametrize(
    "text", [b"\xff", b"\xc0\x80", b"\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"a\xe9b"]
)
def test_what_is_no_utf_8_is_refused(bench: Bench, text: bytes):
    assert bench.error(b"sleep 1\nsleep " + text) == "line 2: not UTF-8"


def test_a_script_in_utf_16_is_refused_whole(bench: Bench):
    assert "NUL byte" in bench.error("sleep 1\nsleep 2\n".encode("utf-16-le"))


def test_there_is_room_for_1024_steps(bench: Bench):
    assert len(bench("sleep 0\n" * 1024).steps) == 1024
    ran = bench.run("sleep 0\n" * 1025)
    assert (ran.exit_code, len(ran.result.steps)) == (2, 1024)
    assert ran.result.error == "line 1025: more than 1024 steps in one script"


def test_a_script_larger_than_a_pipe_buffer_arrives_whole(bench: Bench):
    assert [step.line for step in bench("# " + "x" * 100 + "\n" + "#\n" * 30000 + "sleep 0").steps] == [30002]
    assert "longer than 1 MiB" in bench.error("#\n" * 600000)


@SEVERAL_RUNS
@given(st.text(max_size=200))
def test_any_text_is_answered_with_a_document(bench: Bench, text: str):
    assert bench.run(text).exit_code in {0, 2}


@SEVERAL_RUNS
@given(st.data())
def test_any_step_with_any_words_is_answered_with_a_document(bench: Bench, data: st.DataObject):
    words = st.sampled_from(WORDS)
    lines = st.tuples(st.sampled_from([verb for verb in verbs(bench) if verb != "sleep"]), st.lists(words, max_size=5))
    script = "open f V:\\a access=rw disposition=open-if\n" + "".join(
        f"{verb} {' '.join(rest)}\n" for verb, rest in data.draw(st.lists(lines, min_size=1, max_size=4))
    )

    assert bench.run(script).exit_code in {0, 2, 4}


@SEVERAL_RUNS
@given(st.integers(0, 2**64 - 1), st.booleans())
def test_numbers_are_read_to_the_last_digit(bench: Bench, number: int, hexadecimal: bool):
    text = f"0x{number:X}" if hexadecimal else str(number)

    result = bench(f"open f V:\\a disposition=open-if\nset f class=position value={text}\nquery f class=position")

    step = result.step("query")
    assert result.step("set").status != 0 or int.from_bytes(step.data, "little") == number


@SEVERAL_RUNS
@given(st.text(st.characters(codec="utf-8", exclude_characters='"\n\r\0'), min_size=1, max_size=40))
def test_any_name_comes_back_in_the_document(bench: Bench, name: str):
    result = bench(f'open "{name}" V:\\\n')

    assert result.steps[0].name == safe_line(name)
