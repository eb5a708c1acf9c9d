"""The daemon as a local process: it answers, keeps secrets, and does not outlive its guest."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import GuestError
from harness.guest import LocalGuest
from harness.guest.errors import CredentialsRefused
from harness.guest.state import GuestStateError
from harness.guest.winrm import WinRmSession
from tests.processes import gone, kill


def test_a_command_is_answered(guest):
    result = guest.run("echo hello")

    assert (result.exit_code, result.output, result.errors) == (0, "hello\n", "")


def test_a_program_ends_with_the_number_of_the_verifiers_findings_and_shows_nothing_of_it(guest, fltprobe: bytes):
    guest.put(fltprobe, r"C:\fltlab\fltprobe.exe")

    result = guest.run(r"C:\fltlab\fltprobe.exe", b"sleep 1\n")

    assert (result.exit_code, result.errors, guest.findings) == (0, "", 0)
    guest.run("echo hello")
    assert guest.findings is None  # this command did not say


def test_a_session_with_new_credentials_goes_on_in_its_shell(guest):
    with WinRmSession(guest.endpoint) as session:
        session.run("echo one")
        session.now_at(replace(guest.endpoint, password="another"))
        with pytest.raises(CredentialsRefused):
            session.run("echo two")
        session.now_at(guest.endpoint)

        assert session.run("echo three").output == "three\n"

    assert [item.purpose for item in session.exchanges].count("open a shell") == 1


def test_the_boot_that_answers_is_the_one_that_was_started(guest):
    assert guest.identity(guest.boot_id).boot_id == guest.boot_id


def test_another_boot_is_not_taken_for_ours(guest):
    with pytest.raises(GuestError, match="another boot"):
        guest.identity("00000000-0000-0000-0000-000000000000")


def test_a_mebibyte_arrives_and_comes_back_as_it_was(guest):
    content = os.urandom(1 << 20)

    guest.put(content, r"C:\fltlab\random.bin")

    assert guest.get(r"C:\fltlab\random.bin") == content


def test_several_files_arrive_with_one_command(guest):
    files = {r"C:\fltlab\one": b"1", r"C:\fltlab\deep\two": b"", r"C:\fltlab\three": b"\n\r\n\0"}

    guest.put_all(files)

    assert {path: guest.get(path) for path in files} == files


def test_the_password_is_in_no_command_line_and_in_a_file_of_the_owner_alone(guest):
    command_line = Path(f"/proc/{guest.pid}/cmdline").read_bytes()
    configuration = guest.folder / "daemon.json"

    assert guest.endpoint.password.encode() not in command_line
    assert guest.endpoint.password in configuration.read_text()
    assert stat.S_IMODE(configuration.stat().st_mode) == 0o600
    assert guest.endpoint.password not in repr(guest.endpoint)


def test_a_closed_guest_has_ended_and_refuses_commands(tmp_path):
    guest = LocalGuest(tmp_path)
    guest.run("echo hello")

    guest.close()

    assert gone(guest.pid)
    with pytest.raises(GuestStateError, match="closed"):
        guest.run("echo hello")


def test_a_daemon_that_was_killed_is_reported_and_stays_the_cause(tmp_path):
    with LocalGuest(tmp_path) as guest:
        guest.run("echo hello")
        kill(guest.pid)

        with pytest.raises(GuestError, match="daemon has ended") as first:
            guest.run("echo hello")
        with pytest.raises(GuestError) as second:
            guest.run("echo hello")

    assert second.value is first.value
    assert "exit code -9" in str(first.value)
