"""`fltlab fuzz` finds planted faults, and what it writes is a suite that shows them.

Each run here begins near its fault, so that it is short; how long it takes from nothing is in docs/fuzzing.md.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import ExitCode

from .conftest import DRIVERS

NEAR_THE_FAULT = "connect p \\TrustsLength\nsend-message p data=504c4359070000000000000000000000"


def fuzz(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict]:
    code = main(["fuzz", *words, "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out) if printed.out else {"error": printed.err}


def test_a_planted_fault_is_found_and_its_suite_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    driver = "trusts-length"
    (tmp_path / "seeds.py").write_text(f"SCRIPT = r'''\n{NEAR_THE_FAULT}\n'''\n")

    code, told = fuzz(capsys, "--port", str(DRIVERS / driver), "--from", "seeds.py", "--count", "600")

    assert code == ExitCode.FAILED, told
    (fault,) = told["faults"]
    assert fault["chain"][0].startswith(f"{driver}+0x")
    assert "out of bounds" in fault["message"]
    assert list((tmp_path / "fuzz" / driver / "corpus").glob("*.script"))
    again = [sys.executable, "-P", "-m", "harness.cli", "run", fault["file"], "--drivers", str(DRIVERS / driver)]
    done = subprocess.run([*again, "--guest", "reference-local"], capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.FAILED, done.stdout + done.stderr
    assert "PAGE_FAULT_IN_NONPAGED_AREA" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([str(DRIVERS / "counts-suffix")], "--port, --io or --ioctl"),
        (["--io", "nobody"], "there is no driver called 'nobody'"),
        (["--io", "nowhere/x.sys"], "there is no"),
        (["--io", str(DRIVERS / "counts-suffix"), "--corpus", "file"], "--corpus DIR"),
        (["--io", str(DRIVERS / "counts-suffix"), "--from", "nowhere"], "no such file"),
        (["--io", str(DRIVERS / "counts-suffix"), "--from", "file"], "there is no I/O script in it"),
        (["--io", str(DRIVERS / "counts-suffix"), "--out", "file"], "--out DIR"),
        (["--io", str(DRIVERS / "counts-suffix"), "--out", "/proc/1/nowhere"], "--out DIR"),
        (["--port", str(DRIVERS / "counts-suffix")], "has created no communication port"),
    ],
)
def test_what_cannot_be_fuzzed_is_wrong_use(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")

    code = main(["fuzz", *words])

    assert code == ExitCode.USAGE
    assert said in capsys.readouterr().err
