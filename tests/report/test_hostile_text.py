"""Whatever a guest, a driver or a file name says: the reports are written, and say it in a form that can be read."""

import json
import random
import shlex
from xml.etree import ElementTree as ET

import pytest
import yaml  # noqa: F401 (before pytester takes a picture of sys.modules: its C part bears no second import)

from harness.errors import GuestError
from harness.guest.command import CommandResult
from harness.guest.crash import kernel_error, parse_status, stopped_kernel
from harness.guest.identity import parse_identity
from harness.minifilter.probe import parse_probe
from harness.plugin.run import folder_name
from harness.report.journal import read_journal
from harness.text import FILE_NAME_LIMIT, LIMIT, read_json, safe, safe_line

EVIL = "a\ud800b\x1b[2J\x00\x9b\u202eexe.\uffff\x7f\u2028</pre><script>]]>"


def anything(seed: int) -> str:
    chosen = random.Random(seed)
    return "".join(
        chr(chosen.choice([chosen.randrange(0x20), chosen.randrange(0x300), chosen.randrange(0x110000)]))
        for _ in range(chosen.randrange(200))
    )


def can_be_written_anywhere(text: str) -> bool:
    return text.encode("utf-8").decode("utf-8") == text and all(
        character in "\n\t" or character.isprintable() for character in text
    )


def test_any_text_becomes_one_that_can_be_written_anywhere():
    for seed in range(300):
        text = safe(anything(seed))

        assert can_be_written_anywhere(text), seed
        assert safe(text) == text
        assert safe_line(text).isprintable()
        ET.fromstring(f"<a>{text.replace('&', '&amp;').replace('<', '&lt;')}</a>")


def test_what_can_be_shown_stays_as_it_is():
    assert safe("Grüße, 世界\tC:\\a b\r\nnext") == "Grüße, 世界\tC:\\a b\nnext"
    assert safe("\x1b[31m\ud800") == "<U+001B>[31m<U+D800>"
    assert safe_line("two\nlines\tend") == "two<U+000A>lines end"


def test_of_a_text_that_is_too_long_the_middle_is_left_out():
    text = safe("a" * LIMIT + "b" * LIMIT)

    assert len(text) < LIMIT + 100
    assert text.startswith("aaa")
    assert text.endswith("bbb")
    assert "characters left out" in text


NAMES = [
    "t.py::test_a[x-y]",
    "t.py::test_a[x/y]",
    "t.py::test_a[x y]",
    "t.py::test_a[x]",
    "t.py::test_a-x",
    "t.py::test_a",
    "a/b.py::c",
    "a-b.py::c",
    "a/b.py::c.",
    "a/b.py--c",
    "..",
    "...",
    "",
    "t.py::test_a[\ud800]",
    "t.py::test_a[é]",
    "t.py::test_a[" + "x" * 300 + "1]",
    "t.py::test_a[" + "x" * 300 + "2]",
]


def test_no_two_tests_share_a_folder():
    folders = [folder_name(name) for name in NAMES]

    assert len(set(folders)) == len(NAMES)
    for folder in folders:
        assert 0 < len(folder) <= FILE_NAME_LIMIT
        assert not set(folder) & set("/\\\0")
        assert not folder.startswith(".")


@pytest.mark.parametrize(
    "text",
    ["", "[" * 100_000, '{"a":' * 200 + "1" + "}" * 200, "NaN", '{"steps": Infinity}', "9" * 10_000, "\ud800", "{]"],
    ids=lambda text: text[:6].encode("unicode_escape").decode() or "nothing",
)
def test_a_document_that_is_no_json_of_anybody_is_refused(text: str):
    with pytest.raises(ValueError):  # noqa: PT011 (its message is told by the callers)
        read_json(text)


PROBE = {
    "version": 1,
    "process_id": 1,
    "thread_id": 2,
    "steps": [{"line": 1, "verb": "open", "name": EVIL, "status": 0, "thread_id": 1, "begin": 1, "end": 2}],
    "filters": {},
    "frequency": 10,
    "error": None,
}


def test_what_fltprobe_says_is_made_safe_where_it_comes_in():
    result = parse_probe(json.dumps({**PROBE, "error": {"what": EVIL}}))

    assert result.steps[0].name.isprintable()
    assert result.error is not None
    assert result.error.isprintable()


@pytest.mark.parametrize(
    "change",
    [
        {"frequency": 0},
        {"frequency": -1},
        {"frequency": 1e308 * 10},
        {"frequency": "x"},
        {"process_id": [1]},
        {"steps": "abc"},
        {"steps": [[]]},
        {"steps": [{**PROBE["steps"][0], "begin": 1e400}]},  # type: ignore[index]
        {"filters": []},
        {"filters": {"a": {"events": ["zz"], "dropped": 0, "outstanding": 0}}},
        {"filters": {"a": {"events": 5, "dropped": 0, "outstanding": 0}}},
        {"version": None},
    ],
    ids=str,
)
def test_a_document_of_fltprobe_that_makes_no_sense_is_an_error_of_the_guest(change: dict[str, object]):
    with pytest.raises(GuestError):
        parse_probe(json.dumps({**PROBE, **change}))


@pytest.mark.parametrize("output", ["[]", "[" * 5000, '{"state": 1, "x": NaN}', "null", '{"boot_id": 1, "time": []}'])
def test_what_a_kernel_or_a_guest_says_of_itself_may_be_anything(output: str):
    result = CommandResult("fltlab-kernel status", 0, output.encode(), b"")

    with pytest.raises(GuestError):
        parse_status(result)
    with pytest.raises(GuestError):
        parse_identity(result)


@pytest.mark.parametrize(
    "stop",
    [{"code": "x"}, {"code": [1]}, {"parameters": ["x"]}, {"parameters": 5}, {"waiters": [1]}, {"waiters": 5}],
    ids=str,
)
def test_an_end_of_a_kernel_that_is_told_badly_is_an_error_of_the_guest(stop: dict[str, object]):
    told = {"state": "bugcheck", "stop": {"kind": "bugcheck", "message": "gone", **stop}}
    line = f"fltlab-kernel-stopped {json.dumps(told)}".encode()

    state = stopped_kernel(CommandResult("fltprobe", 1, b"", line))

    assert state is not None
    assert isinstance(kernel_error(state, ["passthrough"]), GuestError)


SUITE = """
    import pytest
    from harness.errors import DriverError, GuestError
    from harness.plugin.facts import FACTS
    from harness.report.records import Witness

    pytestmark = pytest.mark.rule("REG-01")
    EVIL = {evil!r}

    def test_error(capsys):
        raise GuestError("it said " + EVIL, details=(EVIL,), hint=EVIL)

    def test_failure(request):
        request.node.stash[FACTS].witnesses.append(Witness(EVIL, seen=False))
        assert "x" == EVIL

    def test_own_error():
        print(EVIL)
        raise ValueError(EVIL.replace("\\ud800", ""))

    def test_skipped():
        pytest.skip(EVIL)

    @pytest.mark.parametrize("text", [EVIL, "a b", "it's"], ids=["x", "a b", "it's"])
    def test_parametrized(text):
        assert False, text
"""


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "a worker"])
def test_every_report_is_written_whatever_was_said(pytester: pytest.Pytester, workers: list[str]):
    pytester.makepyfile(test_suite=SUITE.format(evil=EVIL))

    result = pytester.runpytest_subprocess("--out", "run", "-W", "ignore", *workers)

    assert result.ret == 1, result.stdout.str()
    assert "\x1b[2J" not in result.stdout.str()
    cases = {case.get("name"): case for case in ET.parse(pytester.path / "run" / "junit.xml").iter("testcase")}
    assert len(cases) == 7
    assert "it said a<U+D800>b<U+001B>[2J" in str(cases["test_error"].find("error").attrib)  # type: ignore[union-attr]
    page = (pytester.path / "run" / "report.html").read_text(encoding="utf-8")
    assert "</pre><script>" not in page
    assert {record.name for record in read_journal(pytester.path / "run")} == set(cases)


def test_the_line_to_run_a_test_again_is_one_of_a_shell(pytester: pytest.Pytester):
    pytester.makepyfile(test_suite=SUITE.format(evil="plain"))

    pytester.runpytest_inprocess("--out", "run", "-W", "ignore", "-k", "parametrized")

    for record in read_journal(pytester.path / "run"):
        again = record.details.split("--- again\n")[1].splitlines()[0]
        assert shlex.split(again)[2] == f"{pytester.path}/{record.nodeid}"
