"""The licence of a Windows: read from it, kept with the image, and activated where that is asked for."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import tree_sitter
import tree_sitter_powershell

from harness.errors import ConfigurationError, GuestError
from harness.guest import licence
from harness.guest.licence import ACTIVATE, ASK, Licence, Status, parse_licence
from harness.host.accelerator import Accelerator
from harness.host.directories import HOME_VARIABLE
from harness.image.windows.build import Builder
from harness.image.windows.dry_run import command_lines, write_dry_run
from harness.image.windows.follower import BuildFailedError
from harness.image.windows.prepare import Request, prepare
from harness.image.windows.product_key import read_product_key
from harness.image.windows.profile import Host, describe_host
from tests.windows.test_answer_files import KEY, plan

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))


@pytest.fixture
def host() -> Host:
    return describe_host(Accelerator.TCG)


def said(status: int = 1, minutes: int = 0, edition: str = "ServerStandardEval") -> str:
    return json.dumps({"edition": edition, "status": status, "minutes": minutes})


@pytest.mark.parametrize(
    ("text", "expires", "run_out"),
    [
        (said(1, 90 * 1440), date(2027, 2, 21), False),
        (said(2, 10 * 1440), date(2026, 12, 3), False),
        (said(5), date(2026, 11, 23), True),
        (said(0), date(2026, 11, 23), True),
        (said(1, 0, "Professional"), None, False),
        (said(5, 0, "Enterprise"), None, False),
        (said(1, 180 * 1440, "ServerStandard"), None, False),
    ],
    ids=["evaluation", "not-activated", "over", "never-licensed", "retail", "retail-not-activated", "volume"],
)
def test_only_an_evaluation_ends_and_its_end_is_told_by_windows(text: str, expires: date | None, run_out: bool):
    found = parse_licence(text)

    assert found.expires(NOW) == expires
    assert found.has_run_out is run_out


@pytest.mark.parametrize("text", ["", "Access is denied.", "{}", '{"edition": "x", "status": 9, "minutes": 0}'])
def test_what_is_no_answer_is_an_error(text: str):
    with pytest.raises(GuestError, match="does not say what its licence is"):
        parse_licence(text)


def test_the_script_parses():
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))

    assert not parser.parse(licence._SCRIPT.encode()).root_node.has_error


# -- activation


class Asked:
    """A guest whose licence is this, and which prints that when it is activated."""

    def __init__(self, answer: str, printed: str = "") -> None:
        self.answer, self.printed = answer, printed
        self.commands: list[str] = []

    def run(self, command: str, stdin: bytes = b"", timeout: float | None = None) -> SimpleNamespace:
        self.commands.append(command)
        return SimpleNamespace(exit_code=0, stdout=(self.answer if command == ASK else self.printed).encode())

    def close(self) -> None:
        """Nothing is open."""


def builder(iso: Path, host: Host, *, activate: bool) -> Builder:
    ready = prepare(Request("windows-server-2022", iso=iso, activate=activate))
    return Builder(ready, host, lambda _: None, now=lambda: NOW)  # type: ignore[arg-type,return-value]


PATIENT = SimpleNamespace(patience=1.0)


def test_windows_is_activated_only_where_that_is_asked_for(server_iso: Path, host: Host):
    for activate in (False, True):
        guest = Asked(said(1, 180 * 1440))
        builder(server_iso, host, activate=activate)._license(guest, PATIENT)  # type: ignore[arg-type]
        assert guest.commands == [ACTIVATE, ASK][not activate :]


def test_an_activation_that_failed_ends_the_build_with_what_slmgr_said(server_iso: Path, host: Host):
    guest = Asked(said(2, 10 * 1440), "Error: 0x8007232B DNS name does not exist.\r\n")
    with pytest.raises(BuildFailedError, match="could not be activated: ServerStandardEval, grace, 10 days") as error:
        builder(server_iso, host, activate=True)._license(guest, PATIENT)  # type: ignore[arg-type]

    assert "| Error: 0x8007232B DNS name does not exist." in error.value.details
    assert "reach the internet" in str(error.value)


def test_a_licence_that_cannot_be_read_is_a_warning(server_iso: Path, host: Host):
    made = builder(server_iso, host, activate=False)
    made._license(Asked("nothing"), PATIENT)  # type: ignore[arg-type]

    assert made._licence is None
    assert made._said == ["the guest does not say what its licence is: until when it runs is not known"]


def test_an_evaluation_that_is_over_already_is_a_warning(server_iso: Path, host: Host):
    made = builder(server_iso, host, activate=False)
    made._license(Asked(said(5)), PATIENT)  # type: ignore[arg-type]

    assert "an hour after each start" in made._said[0]
    assert made._licence is not None
    assert made._licence["expires"] == "2026-11-23"


def test_the_network_is_open_in_the_one_stage_that_activates(server_iso: Path, host: Host):
    for activate in (False, True):
        lines = command_lines(prepare(Request("windows-server-2022", iso=server_iso, activate=activate)), host)
        restricted = {stage: any("restrict=on" in word for word in words) for stage, words in lines.items()}
        assert restricted == {"qemu-put-on-disk": True, "qemu-set-up": not activate}


def test_an_activated_image_is_another_one(server_iso: Path):
    keys = {
        prepare(Request("windows-server-2022", iso=server_iso, activate=activate)).key for activate in (False, True)
    }

    assert len(keys) == 2


def test_evaluation_media_are_warned_of_before_the_build():
    assert "--activate" in plan("windows-server-2022").warnings[0]
    assert plan("windows-server-2022", activate=True).warnings == ()
    assert plan("windows-11-24h2").warnings == ()


# -- product keys


def key_file(directory: Path, text: str = f"{KEY}\n", mode: int = 0o600) -> Path:
    path = directory / "key.txt"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_key_is_read_from_a_file_of_its_owners(tmp_path: Path):
    assert read_product_key(key_file(tmp_path, f"  {KEY.lower()}\n")) == KEY


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (KEY, 0o644, r"can be read by others(.|\n)*0644(.|\n)*chmod 600"),
        ("not a key", 0o600, "holds no product key"),
        (f"{KEY}\n{KEY}", 0o600, "holds no product key"),
        ("sch\u00f6n", 0o600, "cannot be read"),
    ],
)
def test_a_key_that_cannot_be_used_says_why_and_not_what_it_is(tmp_path: Path, text: str, mode: int, said: str):
    with pytest.raises(ConfigurationError, match=said) as error:
        read_product_key(key_file(tmp_path, text, mode))

    assert text not in str(error.value)


def test_a_missing_key_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"product key in \S*none\.txt cannot be read"):
        read_product_key(tmp_path / "none.txt")


def test_a_recipe_names_the_file_of_a_key(client_iso: Path, tmp_path: Path):
    path = str(key_file(tmp_path))
    chosen = Request("windows-11-24h2", iso=client_iso, edition="Professional", overrides={"product_key": path})

    assert prepare(chosen).plan.product_key == KEY


def test_a_dry_run_does_not_write_the_key(client_iso: Path, tmp_path: Path, host: Host):
    ready = prepare(Request("windows-11-24h2", iso=client_iso, edition="Professional", product_key=KEY))

    written = write_dry_run(ready, host, tmp_path / "dry")

    assert all(KEY.encode() not in path.read_bytes() for path in written)
    assert any(b"<ProductKey>" in path.read_bytes() for path in written)


def test_a_licence_is_told_in_words():
    assert str(Licence("EnterpriseEval", Status.LICENSED, 90 * 1440)) == "EnterpriseEval, licensed, 90 days left"
    assert str(Licence("Enterprise", Status.NOTIFICATION, 0)) == "Enterprise, notification"
