"""Windows' way of forking, gone with the reference guest's machine in Windows' place: real templates, real forks."""

import base64
import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cli import verify
from harness.cli.main import main
from harness.cli.verify import report_self_test, switch_forks_off
from harness.errors import ConfigurationError, ExitCode, GuestError
from harness.fleet import windows_forks, windows_guest
from harness.fleet.scene import Scene
from harness.fleet.settings import Settings
from harness.fleet.windows_guest import WindowsProvider
from harness.guest import REFERENCE, Endpoint, GuestKind
from harness.guest.forks import FORKS
from harness.guest.selftest import Finding
from harness.guest.verifier import Level
from harness.guest.waking import NewIdentity
from harness.guest.windows import WindowsBody
from harness.host.accelerator import Accelerator
from harness.host.tools import Tool
from harness.image import reference
from harness.image.reference.boot import WINRM_PORT
from harness.image.store import Image, ImageStore
from harness.image.windows import fork_record
from harness.image.windows.recipe import load_recipe
from harness.machine.machine import Machine
from harness.machine.parts import Board, Processor
from harness.machine.spec import MachineSpec
from harness.machine.templates import ColdBoot
from harness.machine.tpm import TpmDevice
from tests.guest.test_windows_provider import BUILT, PLAN

NAME = "windows-11-24h2"
THREE = 3


@dataclass
class Rig:
    """A provider whose machine runs the reference guest, told how to reach it and what to hand to it."""

    settings: Settings
    image: Image
    spec: object
    starts: list[str]

    def provider(self, name: str = NAME) -> WindowsProvider:
        provider = WindowsProvider(name, self.settings)
        provider.__dict__["_spec"] = self.spec
        return provider


@pytest.fixture(scope="module")
def real_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[object, reference.GuestSecrets]]:
    """The machine of the reference image that the user has, and a home of these tests' own for all else.

    It has a generation id, as machines for Windows do: forks of Windows are told by it who they are.
    """
    spec = replace(reference.machine_spec(reference.build(), reference.payload(), Accelerator.TCG), generation_id=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLTLAB_HOME", str(tmp_path_factory.mktemp("home")))
        yield spec, reference.GuestSecrets()


@pytest.fixture
def rig(real_home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    spec, secrets = real_home
    settings = Settings((NAME,), "tcg", None, 1, (), {}, (), tmp_path / "images")

    def fill(directory: Path) -> dict[str, object]:
        (directory / "system.qcow2").write_bytes(b"QFI\xfb")
        machine = load_recipe(NAME).machine.model_dump(mode="json") | {"memory_mib": 2048}
        return {"kind": "windows", "winrm": "basic", "build": "26100", "machine": machine}

    image = ImageStore(settings.image_directory).get_or_build(NAME, "a" * 64, fill)
    account = secrets.configuration
    more = {
        "password": account.password,  # a Windows image has one for all its guests
        "ssh_host_key": base64.b64encode(secrets.ssh.host_key_for_dropbear()).decode(),
        "ssh_authorized_key": secrets.ssh.authorized_key(),
    }
    starts: list[str] = []

    class ColdMachine(Machine):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs, secrets=secrets.firmware_files())

        def start(self) -> None:
            starts.append("cold")
            super().start()

    monkeypatch.setattr(windows_guest, "WINDOWS", replace(REFERENCE, kind=GuestKind.WINDOWS))
    monkeypatch.setattr(windows_guest, "Machine", ColdMachine)
    monkeypatch.setattr(windows_guest, "build_number", lambda identity: 26100)
    for module in (windows_guest, windows_forks):
        monkeypatch.setattr(module, "make_data_disk", lambda guest, system: None)
    monkeypatch.setattr(windows_forks, "NewIdentity", partial(NewIdentity, more=more))
    monkeypatch.setattr(windows_forks, "ColdBoot", lambda spec, _: ColdBoot(spec, secrets.firmware_files()))
    monkeypatch.setattr(
        WindowsProvider,
        "_endpoint",
        lambda self, machine, directory: Endpoint(machine.ports[WINRM_PORT], account.user, account.password),
    )
    return Rig(settings, image, spec, starts)


def test_forks_that_are_good_are_used_from_then_on(rig: Rig, tmp_path: Path):
    provider = rig.provider()
    assert provider.no_forks.startswith(f"forks are off for {NAME}, they have not been tried under tcg")

    findings = list(provider.try_forks(tmp_path / "trial", THREE))

    assert [(finding.check, finding.difference) for finding in findings] == [
        ("template", ""),
        *((f"fork {number} of {THREE}", "") for number in range(1, THREE + 1)),
        ("template afterwards", ""),
    ]
    assert "only 3 of them were tried" in rig.provider().facts.notice
    fork_record.save(provider.fork_setting, FORKS, findings)

    provider = rig.provider()
    assert provider.facts.notice == ""
    assert provider.facts.details["started"] == "as forks"
    boots = set()
    for number in range(2):  # the second is what a spoiled guest is replaced by
        with provider.open(tmp_path / f"guest-{number}", None) as opened:
            boots.add(opened.guest.identity().boot_id)
            assert opened.guest.kind is GuestKind.WINDOWS
    provider.close()
    assert len(boots) == 2
    assert rig.starts == []


def test_a_fork_that_does_not_wake_up_is_replaced_by_a_guest_that_is_booted_cold(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    provider = rig.provider()
    fork_record.save(provider.fork_setting, FORKS, [])

    def deaf(*_: object, **__: object) -> None:
        raise GuestError("waited 120 s for a fork of Windows to answer WinRM", details=("last seen: timed out",))

    monkeypatch.setattr(windows_guest, "wake", deaf)

    with provider.open(tmp_path / "guest", None) as opened:
        assert opened.guest.identity().boot_id
        assert isinstance(opened.guest.body, WindowsBody)
        assert opened.guest.body.machine.run_dir == tmp_path / "guest" / "cold"  # type: ignore[attr-defined]

    assert rig.starts == ["cold"]
    said = provider.facts.notice
    assert f"{NAME} could not be forked: waited 120 s for a fork of Windows to answer WinRM (last seen" in said
    assert f"fltlab image verify {NAME} --forks" in said
    assert "booted cold" in caplog.text
    assert provider.no_forks, "forks are not tried again in this run"
    provider.close()


def test_a_machine_with_a_tpm_is_never_forked(rig: Rig, tmp_path: Path):
    provider = rig.provider()
    provider.__dict__["_size"] = provider._size.model_copy(update={"tpm": True})

    assert provider.no_forks == "it has a TPM, whose state is swtpm's and not in the template"
    with pytest.raises(ConfigurationError, match="cannot be forked: it has a TPM"):
        next(provider.try_forks(tmp_path / "trial"))


@pytest.mark.skipif(Tool.SWTPM.find() is None, reason="there is no swtpm here")
def test_a_guest_with_a_tpm_is_booted_cold_with_swtpm_beside_it(rig: Rig):
    provider = rig.provider()
    provider.__dict__["_size"] = provider._size.model_copy(update={"tpm": True})
    provider.__dict__["_spec"] = replace(provider._spec, devices=(*provider._spec.devices, TpmDevice()))

    with tempfile.TemporaryDirectory() as folder, provider.open(Path(folder) / "guest", None) as opened:
        assert opened.guest.identity().boot_id
        assert (Path(folder) / "guest" / "tpm" / "tpm2-00.permall").exists()
        assert opened.guest.body.machine.qmp.execute("query-tpm")[0]["model"] == "tpm-crb"  # type: ignore[union-attr]

    assert rig.starts == ["cold"]


def test_an_image_that_is_built_again_has_no_template_and_no_verdict_yet(rig: Rig, tmp_path: Path):
    provider = rig.provider()
    fork_record.save(provider.fork_setting, FORKS, [])
    template = provider._forks.template()
    again = rig.provider()
    again.__dict__["_image"] = replace(rig.image, digests={"system.qcow2": "0" * 64})

    assert "the image has been built again since they were tried" in again.no_forks
    other = again._forks.template()

    assert other.key != template.key
    template.release()
    other.release()


def test_driver_verifier_is_on_in_the_template_of_its_stack(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    provider = rig.provider(f"{NAME}@filter")
    fork_record.save(provider.fork_setting, FORKS, [])
    applied: list[object] = []
    monkeypatch.setattr(
        windows_forks, "apply", lambda guest, level, names, build, again: applied.append((level, names, build))
    )
    monkeypatch.setattr(windows_forks, "build_number", lambda identity: 26100)
    scene = Scene(PLAN, BUILT)  # type: ignore[arg-type]

    for number, wanted in enumerate((scene, scene, None)):
        with provider.open(tmp_path / f"guest-{number}", wanted) as opened:
            assert opened.guest.identity().boot_id
    provider.close()

    assert applied == [(Level.FILTER, ("fltlab-above.sys", "Scanner.sys"), 26100)]
    assert provider.no_forks == ""
    assert rig.starts == []


def test_forks_of_the_reference_guest_need_no_trial():
    with pytest.raises(ConfigurationError, match="reference is no Windows image"):
        report_self_test("reference", "tcg", forks=True)
    with pytest.raises(ConfigurationError, match="reference is no Windows image"):
        switch_forks_off("reference", "tcg")


@pytest.mark.parametrize(("wrong", "code"), [("", ExitCode.PASSED), ("its clock is off by +9.0 s", ExitCode.FAILED)])
def test_the_trial_is_part_of_the_table_and_of_the_exit_code(
    wrong: str, code: ExitCode, rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    provider = rig.provider()
    opened = SimpleNamespace(guest=SimpleNamespace(cd=None, ssh=None, last_checks=lambda directory: iter(())))
    monkeypatch.setattr(provider, "open", lambda directory, scene: contextlib.nullcontext(opened))
    monkeypatch.setattr(provider, "try_forks", lambda directory: iter([Finding("fork 1 of 10", "0.2 s", wrong)]))
    monkeypatch.setattr(verify, "provider_for", lambda name, settings: provider)
    monkeypatch.setattr(verify, "replayed_checks", lambda guest, expected: iter([Finding("WinRM", "answers")]))

    assert report_self_test(NAME, "tcg", forks=True) == code

    printed = capsys.readouterr().out
    assert "fork 1 of 10" in printed
    assert wrong in printed


def test_the_trial_is_about_one_image(capsys: pytest.CaptureFixture[str]):
    assert main(["image", "verify", "--forks"]) == ExitCode.USAGE

    assert "name it" in capsys.readouterr().err


@pytest.mark.parametrize(("features", "told"), [(("hv-time", "hv-relaxed"), True), ((), False)])
def test_the_pause_of_a_woken_windows_is_told_where_it_is_known(features: tuple[str, ...], told: bool):
    spec = MachineSpec(Board(64), Processor(Accelerator.KVM, features=features))

    assert ("stand still for some minutes" in windows_guest._pause_of(spec)) is told
