"""The command lines that deployment needs: chains, batch files, quotes, and paths that stay inside."""

import os

import pytest

from harness.guest import LocalGuest


@pytest.mark.parametrize(
    ("line", "output", "code"),
    [
        ("echo a & echo b", "a\nb\n", 0),
        ("exit 3", "", 3),
        ("type C:\\no & echo after", "after\n", 0),
        ("type C:\\no && echo never", "", 1),
        ("type C:\\no || echo failed", "failed\n", 0),
        ("echo fine || echo never", "fine\n", 0),
        ('cmd /c "echo inner && echo too"', "inner\ntoo\n", 0),
        ('echo "a & b"', '"a & b"\n', 0),
    ],
)
def test_chains_run_as_cmd_runs_them(daemon: LocalGuest, line: str, output: str, code: int):
    result = daemon.run(line)

    assert (result.output, result.exit_code) == (output, code)


def test_a_batch_file_stops_where_it_says(daemon: LocalGuest):
    daemon.put(
        b"@echo off\r\nrem a comment\r\necho first\r\ntype C:\\no || exit /b\r\necho never\r\n", r"C:\batch\stops.cmd"
    )

    result = daemon.run(r"cmd.exe /c C:\batch\stops.cmd")

    assert (result.output, result.exit_code) == ("first\n", 1)


def test_a_batch_file_gives_the_exit_code_it_names(daemon: LocalGuest):
    daemon.put(b"echo one\r\nexit /b 7\r\necho never\r\n", r"C:\batch\seven.cmd")

    result = daemon.run(r"call C:\batch\seven.cmd && echo never")

    assert (result.output, result.exit_code) == ("one\n", 7)


def test_a_batch_file_that_is_not_there_is_a_failure(daemon: LocalGuest):
    assert daemon.run(r"C:\batch\nothing.cmd").exit_code == 1


@pytest.mark.parametrize("line", ["echo a | more", "echo a > C:\\file", 'echo "open'])
def test_what_this_shell_does_not_do_is_said(daemon: LocalGuest, line: str):
    result = daemon.run(line)

    assert result.exit_code == 1
    assert "syntax" in result.errors


def test_an_unknown_command_has_the_exit_code_of_cmd(daemon: LocalGuest):
    result = daemon.run("dance")

    assert result.exit_code == 9009
    assert "'dance' is not recognized" in result.errors


@pytest.mark.parametrize(
    "path",
    [
        r"C:\..\..\..\etc\passwd",
        r"C:\a\..\..\..\etc\passwd",
        "../../etc/passwd",
        r"\\server\share\x",
        r"X:\x",
        r"C:\x:y",
    ],
)
def test_no_path_leads_out_of_the_guests_folder(daemon: LocalGuest, path: str):
    result = daemon.run(f'type "{path}"')

    assert not result.ok
    assert "root:" not in result.output


def test_a_link_in_the_guests_folder_leads_nowhere(daemon: LocalGuest, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (daemon.system / "link").unlink(missing_ok=True)
    (daemon.system / "link").symlink_to(tmp_path)

    assert "secret" not in daemon.run(r"type C:\link\secret").output
    daemon.run(r"del C:\link\secret")
    assert secret.exists()


def test_half_a_file_is_never_left(daemon: LocalGuest):
    whole = b"10 " + b"0" * 64 + rb" C:\half\file" + b"\n" + b"12345"

    result = daemon.run("fltlab-receive --batch", whole)

    assert result.exit_code == 38
    assert not list((daemon.system / "half").glob("*"))


def test_the_registry_keeps_what_reg_adds_and_says_what_is_not_there(daemon: LocalGuest):
    key = r"HKLM\SYSTEM\CurrentControlSet\Services\sample\Parameters"

    assert daemon.run(rf'reg.exe add "{key}" /v Operations /t REG_MULTI_SZ /d "create pre\0read post" /f').ok
    assert "create pre" in daemon.run(rf'reg.exe query "{key}" /v Operations').output
    assert daemon.run(rf'reg.exe delete "{key}" /f').ok
    assert daemon.run(rf'reg.exe query "{key}" /v Operations').exit_code == 1


def test_no_secret_is_in_the_log(daemon: LocalGuest):
    daemon.run("ver")

    for path in daemon.folder.rglob("*.log"):
        assert daemon.endpoint.password not in path.read_text(errors="replace")
    assert daemon.endpoint.password not in os.environ.values()
