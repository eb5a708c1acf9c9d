"""report.html: one file that needs nothing but itself, with the whole run in it as data."""

import base64
import gzip
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.report import html
from harness.report.html import RuleText, write_html
from harness.report.provenance import Provenance
from harness.report.records import Blame, Outcome, TestRecord
from harness.report.summary import summarise
from harness.wire.trace import FILE_NAME as TRACE
from harness.wire.trace import Header, Io, write_trace

RULES = {"PRE-COMP-02": RuleText("The status is the one above sees.", "ifs/completing.md", "https://docs.example/c")}


class Page(HTMLParser):
    """The documents of a page, by their ids, and every address that it would load or could follow."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.documents: dict[str, str] = {}
        self.addresses: list[str] = []
        self._script: str | None = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        self.addresses += [facts[name] for name in ("src", "href") if facts.get(name)]
        self._script = facts.get("id") if tag == "script" else None

    def handle_data(self, data):
        if self._script:
            self.documents[self._script] = self.documents.get(self._script, "") + data

    def handle_endtag(self, tag):
        self._script = None

    def read(self, name: str):
        return json.loads(gzip.decompress(base64.b64decode(self.documents[name])))


@pytest.fixture
def page_of(tmp_path: Path, provenance: Provenance):
    """The page of a run with some records; a trace is there of every test that has a folder."""

    def make(records: list[TestRecord]) -> tuple[str, Page]:
        for record in records:
            if record.folder:
                (tmp_path / record.folder).mkdir(parents=True, exist_ok=True)
                write_trace(tmp_path / record.folder / TRACE, Header(record.nodeid), [Io(1, "open </script> <!--\n")])
        guarded: frozenset[str] = frozenset()
        summary = summarise(records, guarded, 9.0)
        text = write_html(tmp_path, provenance, records, summary, guarded, RULES).read_text()
        return text, Page(text)

    return make


def test_the_page_loads_nothing(page_of, records: list[TestRecord]):
    text, page = page_of(records)

    assert [address for address in page.addresses if address != "data:,"] == []
    assert re.findall(r"@import|url\(", text) == []
    assert "default-src 'none'" in text


def test_what_a_guest_said_ends_no_element_of_the_page(page_of, records: list[TestRecord]):
    evil = "</script><script>alert(1)</script><!--"
    text, page = page_of([replace(record, message=evil, name=evil) for record in records])

    assert "alert(1)" not in text.replace("&lt;script&gt;alert(1)", "")
    assert page.read("run")["tests"][0]["name"] == evil
    assert page.read("trace-1")["ios"][0]["lines"] == ["open </script> <!--"]


def test_the_page_has_every_test_every_verdict_and_the_notice(page_of, records: list[TestRecord]):
    _, page = page_of(records)
    run = page.read("run")

    assert [test["nodeid"] for test in run["tests"]] == [record.nodeid for record in records]
    assert [test["trace"] for test in run["tests"]] == [bool(record.folder) for record in records]
    assert run["verdicts"]["PRE-COMP-02"]["reference"] == {
        "verdict": "failed",
        "suites": {"completion": "failed"},
        "tests": [1],
    }
    assert run["verdicts"]["IRQL-01"]["reference"]["verdict"] == "not decided"
    assert run["verdicts"]["IRQL-02"]["reference"]["verdict"] == "not run"
    assert "not of Windows" in run["run"]["guests"][0]["notice"]
    assert run["rules"][0]["statement"] == "The status is the one above sees."


def test_twelve_tests_that_fail_for_one_cause_are_one_trouble(page_of, records: list[TestRecord]):
    failed = next(record for record in records if record.outcome is Outcome.FAILED)
    others = [
        replace(
            failed,
            nodeid=f"{failed.nodeid}[{n}]",
            message=f"PRE-COMP-02 violated: guard at {n}",
            cause="guard: PRE-COMP-02",
            blame=Blame.DRIVER,
            violated=("PRE-COMP-02",),
        )
        for n in range(12)
    ]
    _, page = page_of([*records, *others])

    troubles = page.read("run")["troubles"]

    assert [len(trouble["tests"]) for trouble in troubles] == [1, 1, 12]
    assert troubles[2]["rules"] == ["PRE-COMP-02"]


def test_a_page_holds_no_more_traces_than_it_has_room_for_and_says_which_are_missing(
    page_of, records: list[TestRecord], monkeypatch: pytest.MonkeyPatch
):
    passed = [replace(records[0], nodeid=f"test_{n}", folder=f"tests/{n}") for n in range(3)]
    monkeypatch.setattr(html, "TRACES", 500)

    _, page = page_of([*passed, records[1]])

    tests = page.read("run")["tests"]
    assert tests[3]["trace"]
    assert [test["left_out"] for test in tests] == [False, True, True, False] or any(
        test["left_out"] for test in tests[:3]
    )
    assert {name for name in page.documents if name.startswith("trace-")} == {
        f"trace-{number}" for number, test in enumerate(tests) if test["trace"]
    }


def test_a_browser_without_scripts_is_told_what_went_wrong(page_of, records: list[TestRecord]):
    text, _ = page_of(records)
    plain = text[text.index("<noscript>") : text.index("</noscript>")]

    assert "5 tests: 1 passed, 1 failed, 1 errors, 1 skipped, 1 not witnessed" in plain
    assert "0xC0000001 UNSUCCESSFUL is not 0xC0000022 ACCESS_DENIED (1 tests)" in plain
