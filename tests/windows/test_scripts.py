"""Scripts for the guest: PowerShell parses, batch files hang together, and the encoding is what Windows reads."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell

from harness.errors import ConfigurationError
from harness.image.windows.phases import Phase
from harness.image.windows.plan import Extras, build_inputs
from harness.image.windows.recipe import load_recipe
from harness.image.windows.script_check import script_problems
from tests.windows.test_answer_files import KINDS, plan

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
APPLY = build_inputs(plan("windows-11-24h2"), "not-used")


def scripts(kind: str) -> list[str]:
    return [name for name in APPLY if name.endswith(kind)]


def broken_nodes(node: tree_sitter.Node) -> Iterator[str]:
    if node.type == "ERROR" or node.is_missing:
        yield f"line {node.start_point.row + 1}: {(node.text or b'')[:60].decode(errors='replace')!r}"
    for child in node.children:
        yield from broken_nodes(child)


@pytest.mark.parametrize("name", scripts(".ps1"))
def test_powershell_parses(name: str) -> None:
    assert list(broken_nodes(PARSER.parse(APPLY[name]).root_node)) == []


def test_a_brace_that_is_missing_is_noticed() -> None:
    text = APPLY["fltlab/guest/provision.ps1"]
    last = text.rindex(b"}")

    assert list(broken_nodes(PARSER.parse(text[:last] + text[last + 1 :]).root_node))


@pytest.mark.parametrize("name", scripts(".cmd"))
def test_batch_files_hang_together(name: str) -> None:
    assert script_problems(APPLY[name], name) == []


@pytest.mark.parametrize("name", APPLY)
def test_every_text_is_ascii_with_line_ends_of_windows(name: str) -> None:
    assert script_problems(APPLY[name], "text") == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("goto :nowhere\r\n", "there is no label :nowhere"),
        ("call :a\r\nexit /b\r\n:a\r\nexit /b\r\n:a\r\nexit /b\r\n", "the label :a occurs 2 times"),
        ("exit /b 0\r\n:never\r\nexit /b 0\r\n", "nothing goes to :never"),
        ("if exist C:\\ (\r\ncopy a b\r\n", "1 blocks are open at the end"),
        ("echo index 6> \\\\.\\COM1\r\n", "a digit before > names a handle"),
        ("echo a\n", "does not end in"),
        ("echo a", "its last line does not end"),
        ("echo \u00e4\r\n", "no printable ASCII"),
    ],
)
def test_what_cmd_would_stumble_over_is_named(text: str, problem: str) -> None:
    assert any(problem in line for line in script_problems(text.encode("latin-1"), "x.cmd"))


def test_a_rem_may_say_anything() -> None:
    assert script_problems(b"rem goto :nowhere ( echo 1>\r\n", "x.cmd") == []


@pytest.mark.parametrize("kind", KINDS)
def test_winrm_is_encrypted_unless_basic_was_asked_for(kind: str) -> None:
    inputs = build_inputs(KINDS[kind]("windows-server-2025"), "not-used")

    assert json.loads(inputs["fltlab/guest/settings.json"])["winrm"] == "ntlm"
    provision = inputs["fltlab/guest/provision.ps1"].decode()
    assert "$basic = $settings.winrm -eq 'basic'" in provision
    assert "AllowUnencrypted' $basic" in provision
    assert "Auth\\Basic' $basic" in provision


def test_basic_is_there_when_it_is_asked_for() -> None:
    inputs = build_inputs(plan("windows-11-24h2", overrides={"provisioning": {"winrm": "basic"}}), "not-used")

    assert json.loads(inputs["fltlab/guest/settings.json"])["winrm"] == "basic"


def test_the_users_certificates_and_openssh_travel_on_the_cd(tmp_path: Path) -> None:
    (tmp_path / "my.cer").write_bytes(b"certificate")
    (tmp_path / "OpenSSH-Win64.zip").write_bytes(b"PK")
    extras = Extras((tmp_path / "my.cer",), tmp_path / "OpenSSH-Win64.zip")

    inputs = build_inputs(
        plan("windows-10-22h2", overrides={"provisioning": {"openssh": "archive"}}, extras=extras), "not-used"
    )

    assert inputs["fltlab/guest/certificates/01.cer"] == b"certificate"
    assert inputs["fltlab/guest/openssh.zip"] == b"PK"


def test_an_archive_and_the_wish_for_one_go_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no archive was given"):
        plan("windows-10-22h2", overrides={"provisioning": {"openssh": "archive"}})
    with pytest.raises(ConfigurationError, match="an archive was given"):
        plan("windows-10-22h2", extras=Extras(openssh=tmp_path / "x.zip"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        build_inputs(plan("windows-10-22h2", extras=Extras((tmp_path / "none.cer",))), "not-used")


def test_a_page_file_holds_a_kernel_dump_of_all_memory() -> None:
    settings = json.loads(APPLY["fltlab/guest/settings.json"])

    assert settings["memory_mib"] == load_recipe("windows-11-24h2").machine.memory_mib
    assert b"$size = [int]$settings.memory_mib + 1024" in APPLY["fltlab/guest/provision.ps1"]


def test_the_clock_is_read_as_utc_before_a_time_zone_is_set() -> None:
    install, specialize = (APPLY[name].decode() for name in ("fltlab/install.cmd", "fltlab/guest/specialize.cmd"))
    loaded, unloaded = install.index("reg.exe load HKLM\\offline"), install.index("reg.exe unload HKLM\\offline")

    assert loaded < install.index('TimeZoneInformation" RealTimeIsUniversal 1') < unloaded
    assert "TimeZoneInformation /v RealTimeIsUniversal /t REG_DWORD /d 1" in specialize


def test_no_lockout_before_the_host_first_asks_with_a_password() -> None:
    for name in ("fltlab/guest/specialize.cmd", "fltlab/guest/provision.ps1"):
        assert b"/lockoutthreshold:0" in APPLY[name]


def test_only_what_the_host_needs_of_winrm_can_end_a_build() -> None:
    provision = APPLY["fltlab/guest/provision.ps1"].decode()
    needed, limits = (provision.index(f"Invoke-Step '{step}'") for step in ("winrm", "winrm-limits"))

    assert provision[limits:].startswith("Invoke-Step 'winrm-limits' -Optional {")
    assert "MaxMemoryPerShellMB" not in provision[needed:limits]
    assert "Set-Item 'WSMan:" not in provision


def test_what_would_disturb_a_measurement_is_off_or_worked_off_before_the_image_is_sealed() -> None:
    provision, seal = (APPLY[f"fltlab/guest/{name}.ps1"].decode() for name in ("provision", "seal"))

    assert "Schedule\\Maintenance' 'MaintenanceDisabled' 1" in provision
    assert "Defrag\\ScheduledDefrag" in provision
    waits = [line for line in seal.splitlines() if "Wait-Bounded " in line and "function" not in line]
    assert [line.split()[-1 if "{" not in line else -2] for line in waits] == ["8", "5"]


def test_the_work_before_the_seal_fits_the_time_that_the_host_waits() -> None:
    minutes = [int(found) for found in re.findall(r"Wait-Bounded .* (\d+)\b", APPLY["fltlab/guest/seal.ps1"].decode())]

    assert 60 * (minutes[0] + 2 * minutes[1]) < Phase.SEAL.silence


def test_steps_that_may_overrun_warn_and_those_that_hide_secrets_must_not_fail() -> None:
    seal = APPLY["fltlab/guest/seal.ps1"].decode()

    for step in ("idle-tasks", "compiled-code", "recovery"):
        assert f"Invoke-Step '{step}' -Optional {{" in seal
    for step in ("forget-answers", "forget-logon", "forget-secret"):
        assert f"Invoke-Step '{step}' {{" in seal
    assert "[Lsa]::Forget('DefaultPassword')" in seal


def test_unidentified_networks_are_private_by_the_policy_that_windows_reads() -> None:
    provision = APPLY["fltlab/guest/provision.ps1"].decode()

    assert r"Windows NT\CurrentVersion\NetworkList\Signatures'" in provision
    assert "NetworkListManager" not in provision


def test_the_recovery_environment_is_gone_before_windows_first_starts() -> None:
    install = APPLY["fltlab/install.cmd"].decode()

    assert install.index("dism.exe /Apply-Image") < install.index(r"del /f W:\Windows\System32\Recovery\winre.wim")
