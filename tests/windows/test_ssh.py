"""Large files to a Windows guest over SFTP: with the image's key, to the host key it named, and to no other."""

import io
import json
import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import ConfigurationError
from harness.fleet.settings import Settings
from harness.fleet.windows_guest import WindowsProvider
from harness.guest.errors import Unreachable
from harness.guest.sftp import SftpSession
from harness.image.reference.boot import SshKeys
from harness.image.windows.credentials import Credentials, generate, load, save
from harness.image.windows.follower import Follower
from harness.image.windows.phases import Phase
from harness.image.windows.plan import NO_KEY, build_inputs
from harness.image.windows.ssh import DRIVES, has_server, ssh_endpoint
from harness.image.windows.workspace import Stage, State, Workspace
from harness.machine.deadlines import Wait
from tests.guest.test_sftp import ACCOUNT, answers, dropbear
from tests.limits import Impatient
from tests.ports import port_without_a_listener
from tests.windows.test_answer_files import plan

INBOX = {"provisioning": {"openssh": "inbox"}}


@dataclass(frozen=True)
class Server(SshKeys):
    """The keys of a server that lets the image's key in."""

    client_line: str = ""

    def authorized_key(self) -> str:
        return self.client_line


@pytest.fixture
def port() -> Iterator[int]:
    with port_without_a_listener() as port:
        yield port


@pytest.fixture
def credentials() -> Credentials:
    return generate("Administrator")


def facts(keys: SshKeys) -> dict[str, object]:
    return {"openssh": "inbox", "ssh_host_key": keys.host_public_key()}


def test_the_images_key_opens_the_server_that_it_was_made_for(credentials: Credentials, tmp_path: Path, port: int):
    keys = Server(client_line=credentials.authorized_key)
    (tmp_path / "c").mkdir()
    content = os.urandom(3_000_001)
    endpoint = ssh_endpoint(facts(keys), replace(credentials, user=ACCOUNT.pw_name), port)
    assert endpoint.drives == DRIVES
    with dropbear(tmp_path, keys, port):
        answers(port)
        with SftpSession(replace(endpoint, drives={"C": str(tmp_path / "c")})) as session:
            session.put(io.BytesIO(content), len(content), r"C:\fltlab\large.bin")

    assert (tmp_path / "c" / "fltlab" / "large.bin").read_bytes() == content


def test_a_server_with_another_key_than_the_image_named_is_not_talked_to(
    credentials: Credentials, tmp_path: Path, port: int
):
    keys = Server(client_line=credentials.authorized_key)
    endpoint = ssh_endpoint(facts(SshKeys()), replace(credentials, user=ACCOUNT.pw_name), port)
    with dropbear(tmp_path, keys, port):
        answers(port)
        with (
            pytest.raises(Unreachable, match="cannot be reached over SFTP") as error,
            SftpSession(endpoint, deadlines=Impatient(only={Wait.SSH: 1.0})),
        ):
            pass
    assert "another" in str(error.value)


@pytest.mark.parametrize("known", [None, "", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa AAAAB3NzaC1yc2E=", NO_KEY])
def test_where_no_host_key_is_known_none_is_accepted(known: object, credentials: Credentials):
    with pytest.raises(ConfigurationError, match="any other is not trusted"):
        ssh_endpoint({"openssh": "archive", "ssh_host_key": known}, credentials, 22)


def test_an_image_of_an_fltlab_that_made_no_key_has_none():
    with pytest.raises(ConfigurationError, match="there is no key"):
        ssh_endpoint(facts(SshKeys()), Credentials("Administrator", "secret"), 22)


@pytest.mark.parametrize(("given", "there"), [({}, False), ({"openssh": "none"}, False), ({"openssh": "inbox"}, True)])
def test_only_an_image_with_a_server_is_asked(given: dict[str, object], there: bool):
    assert has_server(given) is there


def test_the_provider_says_once_that_files_go_another_way(caplog: pytest.LogCaptureFixture):
    provider = WindowsProvider("windows-server-2025", Settings((), "tcg", None, 1, (), {}, (), None))
    provider.__dict__["_image"] = SimpleNamespace(name="x", key="k" * 64, facts={"openssh": "inbox"})
    provider.__dict__["_credentials"] = generate("Administrator")
    machine = SimpleNamespace(ports={22: 2222})

    with caplog.at_level(logging.WARNING):
        assert [provider._ssh(machine) for _ in range(2)] == [None, None]  # type: ignore[arg-type]

    assert caplog.text.count("no SFTP: the image does not say which key") == 1


def test_the_provider_hands_the_server_to_its_guests():
    keys = SshKeys()
    provider = WindowsProvider("windows-server-2025", Settings((), "tcg", None, 1, (), {}, (), None))
    provider.__dict__["_image"] = SimpleNamespace(name="x", key="k" * 64, facts=facts(keys))
    provider.__dict__["_credentials"] = generate("Administrator")

    endpoint = provider._ssh(SimpleNamespace(ports={22: 2222}))  # type: ignore[arg-type]

    assert endpoint is not None
    assert (endpoint.port, endpoint.host_key) == (2222, keys.host_public_key())


# -- where the keys come from


def test_the_private_key_stays_on_the_host_and_the_public_one_goes_on_the_cd(credentials: Credentials, tmp_path: Path):
    path = tmp_path / "secrets" / "image.json"
    save(credentials, path)
    assert load(path) == credentials
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "PRIVATE" not in repr(credentials)

    inputs = build_inputs(plan("windows-server-2025", overrides=INBOX), "not-used", credentials.authorized_key)

    assert inputs["fltlab/guest/ssh_key.pub"].decode() == credentials.authorized_key + "\r\n"
    assert not any(b"PRIVATE KEY" in content for content in inputs.values())
    assert "fltlab/guest/ssh_key.pub" not in build_inputs(plan("windows-server-2025"), "not-used")


def test_credentials_without_a_key_are_still_read(tmp_path: Path):
    path = tmp_path / "old.json"
    path.write_text('{"user": "Administrator", "password": "secret"}')

    assert load(path) == Credentials("Administrator", "secret", "")
    assert load(path).authorized_key == ""


def test_a_build_that_an_older_fltlab_began_is_still_gone_on_with(tmp_path: Path):
    workspace = Workspace(tmp_path)
    workspace.keep(State(Stage.ON_DISK, {}, [], "00", None))
    state = tmp_path / "state.json"
    values = json.loads(state.read_text())
    del values["ssh_host_key"]
    state.write_text(json.dumps(values))

    assert workspace.state() == State(Stage.ON_DISK, {}, [], "00", None)


def test_the_guest_names_its_host_key_on_com1_and_a_build_keeps_it(tmp_path: Path):
    key = SshKeys().host_public_key()
    follower = Follower(stage_begins=Phase.PROVISION)

    follower.serial(f"FLTLAB-SSH-HOST-KEY {key}\r\n")

    workspace = Workspace(tmp_path)
    workspace.keep(State(Stage.SEALED, {}, [], None, follower.ssh_host_key))
    assert workspace.state().ssh_host_key == key


def test_the_guest_takes_the_key_and_says_its_own():
    script = build_inputs(plan("windows-server-2025", overrides=INBOX), "not-used")["fltlab/guest/provision.ps1"]

    assert b"administrators_authorized_keys" in script
    assert b"FLTLAB-SSH-HOST-KEY" in script
