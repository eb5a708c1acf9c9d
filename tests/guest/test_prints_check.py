"""The check of an image that what drivers print is captured."""

import pytest

from harness.guest import LocalGuest, prints_check
from harness.guest.prints_check import check_prints
from harness.minifilter.fltmc import parse_filters
from harness.minifilter.probe import parse_probe


def test_what_is_printed_is_captured(guest: LocalGuest):
    finding = check_prints(guest)

    assert finding.ok, finding
    assert finding.measured == "2 captured"
    assert finding.raw[0] == "101 3 fltlab: printed by fltlab-selftest"
    assert parse_filters(guest.run("fltmc.exe filters").output) == []


@pytest.mark.parametrize(
    ("script", "difference"),
    [
        ("filter selftest prints\n", "a callback was registered, but an error that was printed did not come"),
        ("filter selftest\ndebug-print selftest\n", "a callback was registered, but an error that was printed"),
        ("filter nobody prints\n", "fltprobe: line 1: no connection to the control port"),
    ],
)
def test_what_is_not_captured_is_said(guest: LocalGuest, monkeypatch: pytest.MonkeyPatch, script: str, difference: str):
    monkeypatch.setattr(prints_check, "SCRIPT", script)

    assert difference in check_prints(guest).difference


@pytest.mark.parametrize(
    ("said", "difference"),
    [
        ('"lost":0,"status":3221225594,"records":[]', "DbgSetDebugPrintCallback: 0xC000007A PROCEDURE_NOT_FOUND"),
        ("only the error", "what DbgPrint prints is held back by the Debug Print Filter; errors are not"),
        ("another component", "DbgPrint comes as IHVDRIVER ERROR"),
    ],
)
def test_what_a_windows_might_say(guest: LocalGuest, monkeypatch: pytest.MonkeyPatch, said: str, difference: str):
    def record(text: str, component: int, level: int) -> str:
        numbers = ((0, 8), (0, 8), (component, 4), (level, 4), (4, 4), (4, 4), (len(text), 2), (len(text), 2))
        return (b"".join(value.to_bytes(size, "little") for value, size in numbers) + text.encode()).hex()

    records = {
        "only the error": [record(prints_check.ERROR, 101, 0)],
        "another component": [record(prints_check.ERROR, 101, 0), record(prints_check.PLAIN, 77, 0)],
    }
    if said in records:
        said = '"lost":0,"status":0,"records":["' + '","'.join(records[said]) + '"]'
    answer = (
        '{"version":1,"process_id":8,"thread_id":4,"frequency":10000000,"error":null,"steps":[],"filters":'
        '{"selftest":{"dropped":0,"outstanding":0,"events":[],"prints":{' + said + "}}}}"
    )
    monkeypatch.setattr(prints_check, "run_probe", lambda *_: (answer, parse_probe(answer)))

    assert check_prints(guest).difference == difference
