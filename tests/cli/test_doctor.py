"""The doctor says what is wrong, in tables and JSON, and mends what a command can mend."""

import json
import os
from pathlib import Path

import pytest

from harness.cli import doctor
from harness.cli.main import main
from harness.errors import ExitCode
from harness.host import checks, features
from harness.host.checks import Check, Status

APT = ("apt-get", "install", "--yes")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch):
    """What the doctor's questions are answered with, the next answers each time it looks."""
    answers: list[list[Check]] = []
    monkeypatch.setattr(doctor, "_all", lambda: answers.pop(0) if len(answers) > 1 else answers[0])
    return answers


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An apt-get that notes what it was asked for, and ends as told."""

    def make(code: int) -> Path:
        (tmp_path / "apt-get").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\necho noise\nexit {code}\n')
        (tmp_path / "apt-get").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        return tmp_path / "asked"

    return make


def test_every_answer_is_in_the_json(capsys: pytest.CaptureFixture[str]):
    main(["doctor", "--json"])

    answers = {answer["name"]: answer for answer in json.loads(capsys.readouterr().out)}
    wanted = {"qemu", "features", "accelerator", "toolchain", "memory", "disk", "ports", "open files", "templates"}
    assert wanted | {"firmware", "tpm", "machines"} <= set(answers)
    assert all(answer["status"] == "ok" or answer["remedy"] for answer in answers.values())


@pytest.mark.parametrize(
    ("status", "code"),
    [(Status.OK, ExitCode.PASSED), (Status.WARNING, ExitCode.PASSED), (Status.FAILED, ExitCode.HOST)],
)
def test_only_what_failed_makes_the_exit_code(found, status: Status, code: ExitCode, capsys):
    found.append([Check("lz4", status, "looked", "install it")])

    assert main(["doctor"]) == code
    assert ("install it" in capsys.readouterr().out) == (status is not Status.OK)


def test_what_is_missing_is_installed_at_once_and_looked_at_again(found, apt, capsys: pytest.CaptureFixture[str]):
    asked = apt(0)
    missing = [
        Check("lz4", Status.FAILED, "not installed", "install lz4", (*APT, "lz4")),
        Check("tpm", Status.WARNING, "no swtpm", "install swtpm", (*APT, "swtpm")),
        Check("disk", Status.OK, "enough", fix=(*APT, "never")),
    ]
    found += [missing, [Check("lz4", Status.OK, "here")]]

    assert main(["doctor", "--fix", "--json"]) == ExitCode.PASSED
    assert asked.read_text() == "install --yes lz4 swtpm\n"
    assert json.loads(capsys.readouterr().out)[0]["found"] == "here"


def test_a_fix_that_fails_is_told(found, apt, capsys: pytest.CaptureFixture[str]):
    apt(100)
    found.append([Check("lz4", Status.FAILED, "not installed", "install lz4", (*APT, "lz4"))])

    assert main(["doctor", "--fix"]) == ExitCode.HOST
    assert "that ended with 100" in capsys.readouterr().err


def test_this_qemu_has_what_is_asked_of_it():
    assert features.missing_features() == {}


def test_a_qemu_without_a_feature_says_what_it_would_be_good_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(features.WINDOWS_DEVICES, "flux-capacitor", "time")
    monkeypatch.setattr(checks, "OPTIONAL_FEATURES", frozenset({"flux-capacitor"}))
    assert (checks.check_features().status, checks.check_features().found) == (
        Status.WARNING,
        "QEMU lacks flux-capacitor (time)",
    )

    monkeypatch.setattr(checks, "OPTIONAL_FEATURES", frozenset())
    assert checks.check_features().status is Status.FAILED
