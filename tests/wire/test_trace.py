"""A trace is read as it was written, also by a reader that does not know all of it."""

import json
from pathlib import Path

import pytest

from harness.wire.trace import (
    FILE_NAME,
    VERSION,
    Callback,
    Header,
    Io,
    Mark,
    Minifilter,
    NotATraceError,
    Note,
    Operation,
    Pended,
    Print,
    Ring,
    Step,
    Trace,
    append,
    read_trace,
    write_trace,
)

HEADER = Header("suites/a/test_a.py::test_x", "reference", "reference", 7)
WHOLE = Trace(
    HEADER,
    minifilters=(Minifilter("above", "observer", "370030.5", "fltlab-above", {"operations": ["CREATE"]}),),
    ios=(Io(1, "open f V:\\a.bin\n", 0, 8, 4, 10_000_000, began="2026-11-28T06:00:00.000+00:00", seconds=0.25),),
    steps=(Step(1, 1, "open", "f", 0xC0000022, data="5a5a"),),
    rings=(Ring(1, "above", dropped=2),),
    operations=(Operation(1, 1, 0, name="a.bin", step=1),),
    callbacks=(Callback(1, 1, 1, "above", 1, callback_data=0xFFFF9B0000014E90, changed={"length": 512}),),
    pended=(Pended(1, "above", 1),),
    prints=(Print(1, "a line that no terminal likes: \u2028 \x1b[31m", operation=1),),
    notes=(Note("kernel", "196 56 CREATE"),),
    marks=(Mark("failed", "it was not so", callback=1, came=("above.pre",), must=("above.pre", "above.post")),),
)


def records_of(trace: Trace):
    return [
        *(*trace.minifilters, *trace.ios, *trace.steps, *trace.rings, *trace.operations, *trace.callbacks),
        *(*trace.pended, *trace.prints, *trace.notes, *trace.marks),
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_trace(tmp_path / FILE_NAME, HEADER, records_of(WHOLE))
    return tmp_path / FILE_NAME


def test_what_was_written_is_read(path: Path):
    read = read_trace(path)

    assert read.minifilters[0].options == {"operations": ["CREATE"]}
    assert read == WHOLE


def test_what_is_at_its_default_takes_no_room(path: Path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    (callback,) = (line for line in lines if line["is"] == "callback")

    assert set(callback) == {"is", "id", "io", "operation", "filter", "phase", "callback_data", "changed"}


def test_records_are_added_to_a_trace(path: Path):
    append(path, [Note("kernel", "and then")])

    assert [note.text for note in read_trace(path).notes] == ["196 56 CREATE", "and then"]


def test_a_reader_leaves_out_what_a_later_writer_has_added(path: Path):
    with path.open("a") as file:
        file.write('{"is":"smell","of":"roses"}\n{"is":"note","source":"kernel","text":"x","color":"red"}\n')

    assert [note.text for note in read_trace(path).notes] == ["196 56 CREATE", "x"]


def test_a_last_line_that_a_kill_has_cut_short_is_left_out(path: Path):
    path.write_text(path.read_text()[:-10])

    assert read_trace(path).marks == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no header"),
        ('{"is":"note","source":"kernel","text":"x"}\n', f"is no trace of version {VERSION}"),
        (f'{{"is":"header","version":{VERSION + 1},"test":"x"}}\n', f"is no trace of version {VERSION}"),
        ('{"is":"header","version":1}\n', "is no header"),
        ('{"is":"header","version":1,"test":"x"}\nnonsense\n{"is":"note"}\n', "trace.jsonl:2 is no line of a trace"),
        ("[]\n", "is no line of a trace"),
    ],
)
def test_what_is_no_trace_is_said_to_be_none(text: str, why: str, tmp_path: Path):
    (tmp_path / FILE_NAME).write_text(text)

    with pytest.raises(NotATraceError, match=why):
        read_trace(tmp_path / FILE_NAME)
