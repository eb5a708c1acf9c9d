"""A driver that Windows refuses for its signature: what the code means, what Windows says of it, and the way out.

No Windows has given these answers: the guest is played, after what the documentation of the commands says.
"""

import base64
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import tree_sitter
import tree_sitter_powershell

from harness.errors import ConfigurationError, DriverError, ExitCode, GuestError
from harness.guest import Guest, GuestKind, signature
from harness.guest.command import CommandResult
from harness.guest.deploy import Deployment, DriverUnderTest
from harness.guest.profiles import WINDOWS, powershell
from harness.guest.signature import EVIDENCE, SIGN, SignatureRefused, signature_code, signer
from harness.guest.stack import parse_stack, place
from harness.machine.deadlines import Wait
from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers

REFUSED = "\r\nLoad failed with error: 0x{code:08x}\r\nWindows cannot verify the digital signature for this file.\r\n"
HEAD = """
Filter                Volume Name                              Altitude        Instance Name       Frame   SprtFtrs
--------------------  -------------------------------------  ------------  ----------------------  -----   --------
"""
SAID = "signature: HashMismatch (...) by CN=fltlab\r\nCodeIntegrity event 3004 at 2026-01-02T03:04:05Z: not taken\r\n"


@pytest.fixture(autouse=True)
def nobody_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature, "_SIGNERS", {})


@pytest.fixture(scope="module")
def built() -> dict[str, BuiltDriver]:
    return build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["observer", "passthrough"])


class Picky:
    """A Windows that loads a driver only if it has signed it itself, if at all; it keeps what it was asked."""

    kind, profile, name = GuestKind.WINDOWS, WINDOWS, "picky"
    drivers_under_test: tuple[str, ...] = ()

    def __init__(self, code: int = 0x80070241, *, signs: bool = True, helps: bool = True) -> None:
        self.code, self.signs, self.helps = code, signs, helps
        self.files: dict[str, bytes] = {}
        self.signed: set[str] = set()
        self.loaded: list[str] = []
        self.attached: list[str] = []
        self.scripts: list[str] = []
        self.batches: list[str] = []
        self.registered = ""

    put_and_run = Guest.put_and_run

    def put_all(self, files: Mapping[str, bytes], wait: Wait) -> None:
        del wait
        self.files.update(files)
        self.registered += "".join(content.decode() for path, content in files.items() if path.endswith(".cmd"))

    def run(self, command: str, stdin: bytes | None = None, timeout: Wait = Wait.DEPLOY) -> CommandResult:
        del timeout
        if command == powershell(EVIDENCE):
            self.scripts.append("evidence")
            return CommandResult(command, 0, SAID.encode(), b"")
        if command == powershell(SIGN):
            self.scripts.append("sign")
            self.signed |= set((stdin or b"").decode().splitlines()) if self.signs and self.helps else set()
            return CommandResult(command, 0 if self.signs else 1, b"", b"" if self.signs else b"no store My")
        path = command.removeprefix("cmd.exe /c ")
        self.batches.append(path)
        return self._batch(command, self.files[path].decode())

    def _batch(self, command: str, text: str) -> CommandResult:
        printed = []
        for line in text.splitlines()[1:]:
            if line.startswith("echo "):
                printed.append(line[5:])
            elif line == "fltmc.exe instances":
                printed.append(HEAD + "\n".join(self.attached))
            elif line.startswith("fltmc.exe load "):
                service = line.split()[2]
                if rf"C:\Windows\System32\drivers\{service}.sys" not in self.signed:
                    printed.append(REFUSED.format(code=self.code))
                    return CommandResult(command, 1, "\r\n".join(printed).encode(), b"")
                self.loaded.append(service)
            elif found := re.match(r"fltmc\.exe attach (\S+) V: -i (\S+)", line):
                altitude = self._altitude(found[1])
                self.attached.append(f"{found[1]:<20}  {'V:':<37}  {altitude:^12}  {found[2]:<22}  {'0':^5}   00000003")
        return CommandResult(command, 0, "\r\n".join(printed).encode(), b"")

    def _altitude(self, service: str) -> str:
        how = rf'{service}\\Instances\\{service}" /v Altitude /t REG_SZ /d "([\d.]+)"'
        found = re.search(how, self.registered)
        assert found
        return found[1]


def deployment(guest: Picky, built: dict[str, BuiltDriver], **changed: object) -> Deployment:
    stack = [
        DriverUnderTest(entry, replace(built[entry.driver], **changed))  # type: ignore[arg-type]
        for entry in place(
            parse_stack(
                "observer@above",
            )
            + parse_stack("passthrough")
        )
    ]
    return Deployment(cast("Guest", guest), stack)


def test_the_guest_signs_our_drivers_itself_and_the_deployment_goes_on_where_it_stopped(
    built: dict[str, BuiltDriver], caplog: pytest.LogCaptureFixture
):
    guest = Picky()
    with caplog.at_level(logging.WARNING):
        instances = deployment(guest, built).deploy()

    assert [row.filter for row in instances] == ["fltlab-passthrough", "fltlab-above"]
    assert guest.scripts == ["evidence", "sign"]
    assert len(guest.loaded) == len(set(guest.loaded)) == 2
    assert "sc.exe create" not in guest.files[guest.batches[-1]].decode()
    (told,) = caplog.messages
    assert "signs its drivers itself from now on" in told
    assert "CodeIntegrity event 3004" in told


def test_the_next_deployment_is_signed_before_it_is_refused_and_nothing_is_said_again(
    built: dict[str, BuiltDriver], caplog: pytest.LogCaptureFixture
):
    deployment(Picky(), built).deploy()
    caplog.clear()
    fresh = Picky()

    deployment(fresh, built).deploy()

    assert fresh.scripts == ["sign"]
    assert caplog.messages == []
    assert "0x80070241" in signer("picky")


def test_a_refusal_that_signing_does_not_help_says_what_windows_said_and_what_to_do(built: dict[str, BuiltDriver]):
    with pytest.raises(SignatureRefused) as error:
        deployment(Picky(helps=False), built).deploy()

    text = str(error.value)
    assert "refuses the signature of" in text
    assert "| CodeIntegrity event 3004" in text
    assert "command: fltmc.exe load fltlab-" in text
    assert "is test signing in force?" in text
    assert error.value.exit_code is ExitCode.HOST


def test_a_guest_that_cannot_sign_says_both(built: dict[str, BuiltDriver]):
    with pytest.raises(GuestError, match="the guest cannot sign it itself") as error:
        deployment(Picky(signs=False), built).deploy()

    assert "| no store My" in str(error.value)
    assert "| CodeIntegrity event 3004" in str(error.value)


@pytest.mark.parametrize("code", [0x800704FB, 0x800711C7, 0x800B010C])
def test_a_driver_that_a_policy_blocks_is_not_signed_again(built: dict[str, BuiltDriver], code: int):
    guest = Picky(code)
    with pytest.raises(SignatureRefused, match=f"0x{code:08x}"):
        deployment(guest, built).deploy()

    assert guest.scripts == ["evidence"]


def test_a_binary_of_the_users_is_theirs_to_sign(built: dict[str, BuiltDriver]):
    guest = Picky()
    package = built["passthrough"].package.model_copy(update={"binary": Path("passthrough.sys")})

    with pytest.raises(ConfigurationError, match=r"sign it for test signing") as error:
        deployment(guest, built, package=package).deploy()

    assert guest.scripts == ["evidence"]
    assert error.value.exit_code is ExitCode.USAGE


def test_another_failure_is_the_drivers(built: dict[str, BuiltDriver]):
    guest = Picky(0x8007007F)
    with pytest.raises(DriverError, match="could not be loaded: 0x8007007f"):
        deployment(guest, built).deploy()

    assert guest.scripts == []


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        (577, 0x80070241),
        (0x80070241, 0x80070241),
        (0xC0000428, 0xC0000428),
        (0xD0000428, 0xC0000428),
        (1275, 0x800704FB),
        (4551, 0x800711C7),
        (-2146762487, 0x800B0109),
        (2, None),
        (0x801F0013, None),
    ],
)
def test_a_code_is_read_in_each_of_its_forms(code: int, meant: int | None):
    assert signature_code(code) == meant


@pytest.mark.parametrize("script", [EVIDENCE, SIGN])
def test_the_scripts_parse_and_fit_a_command_line(script: str):
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))

    assert not parser.parse(script.encode()).root_node.has_error
    encoded = powershell(script).split()[-1]
    assert base64.b64decode(encoded).decode("utf-16-le") == script.strip()
