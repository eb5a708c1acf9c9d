"""The last check but one of an image: a minifilter is loaded, sees an operation, and leaves nothing behind."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.guest import LocalGuest, minifilter_check
from harness.guest.minifilter_check import check_minifilter
from harness.minifilter.build import BuiltDriver, build_drivers
from harness.minifilter.fltmc import parse_filters


def test_a_minifilter_goes_in_and_out(guest: LocalGuest):
    finding = check_minifilter(guest)

    assert finding.ok, finding
    assert finding.measured.startswith("loaded, attached, ")
    assert "fltlab-selftest" in finding.raw[0]
    assert parse_filters(guest.run("fltmc.exe filters").output) == []
    assert guest.run("sc.exe query fltlab-selftest").exit_code == 1060


def test_a_driver_that_the_guest_refuses_is_the_difference(
    guest: LocalGuest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "bad.sys").write_bytes(b"no image at all")

    def spoiled(root: Path, out: Path, names: list[str]) -> dict[str, BuiltDriver]:
        built = build_drivers(root, out, names)
        return {**built, "observer": replace(built["observer"], sys=tmp_path / "bad.sys")}

    monkeypatch.setattr(minifilter_check, "build_drivers", spoiled)
    finding = check_minifilter(guest)

    assert "observer (fltlab-selftest) could not be loaded" in finding.difference
    assert "command: fltmc.exe load fltlab-selftest" in finding.raw
    assert guest.run("sc.exe query fltlab-selftest").exit_code == 1060


@pytest.mark.parametrize(
    ("line", "other", "difference"),
    [
        ("filter selftest", "# nobody is asked", "was not shown: pre of CREATE, post of CREATE, pre of WRITE"),
        ("fill=0x5A", "fill=0x11", "what was read is not what was written"),
        ("read   f offset=0", "read   f offset=1", "a step did not succeed: line 5: read f: 0xC000000D"),
        ("filter selftest", "filter nobody", "fltprobe: line 2: no connection to the control port"),
    ],
)
def test_what_is_different_is_said(
    guest: LocalGuest, monkeypatch: pytest.MonkeyPatch, line: str, other: str, difference: str
):
    monkeypatch.setattr(minifilter_check, "SCRIPT", minifilter_check.SCRIPT.replace(line, other))

    assert difference in check_minifilter(guest).difference
