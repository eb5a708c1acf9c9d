"""Windows images are guests like the others: found by name, on every file system, verified; no Windows is here."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import tree_sitter
import tree_sitter_powershell

from harness.cli.main import main
from harness.errors import ConfigurationError, ExitCode
from harness.fleet import windows_guest
from harness.fleet.guest_name import GuestName, guest_matrix
from harness.fleet.providers import provider_for, require_guest
from harness.fleet.settings import Settings
from harness.fleet.stack import StackPlan
from harness.guest import REFERENCE, GuestKind, LocalGuest, data_disk
from harness.guest.data_disk import FileSystem
from harness.guest.profiles.windows import powershell
from harness.guest.stack import parse_stack, place
from harness.guest.verifier import Level
from harness.guest.windows import WindowsBody
from harness.image.store import ImageStore
from harness.image.windows.credentials import Credentials
from harness.image.windows.recipe import load_recipe
from harness.minifilter.package import DriverPackage

NAME = "windows-11-24h2"
PLAN = StackPlan(tuple(place(parse_stack("observer@above, completion"))), {}, {})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings((NAME,), "tcg", None, 1, (), {}, (), tmp_path / "images")


@pytest.fixture
def image(settings: Settings):
    """An image in the store with all the facts that a build gives it, and disks without a Windows on them."""

    def fill(directory: Path) -> dict[str, object]:
        for name in ("system.qcow2", "variables.qcow2", "data.qcow2"):
            (directory / name).write_bytes(b"QFI\xfb" + bytes(60))
        machine = load_recipe(NAME).machine.model_dump(mode="json")
        facts = {"kind": "windows", "winrm": "basic", "edition": "Enterprise", "build": "26100", "machine": machine}
        return {**facts, "certificate": None, "expires": "2027-02-01"}

    return ImageStore(settings.image_directory).get_or_build(NAME, "a" * 64, fill)


def test_an_image_that_is_known_and_not_built_says_how_to_build_it(settings: Settings):
    with pytest.raises(ConfigurationError, match="has not been built") as error:
        require_guest(NAME, settings)

    assert error.value.hint is not None
    assert error.value.hint.startswith(f"fltlab image build {NAME} --iso FILE")


@pytest.mark.parametrize(
    ("name", "said"),
    [("windows-11-24h", "did you mean 'windows-11-24h2'"), (f"{NAME}+ext4", "there is no file system 'ext4'")],
)
def test_a_guest_that_is_none_is_wrong_use(name, said, settings: Settings, image):
    with pytest.raises(ConfigurationError, match=said):
        require_guest(name, settings)


@pytest.mark.parametrize("facts", [{"test_signing": False, "language": "de-DE"}, {}])
def test_the_self_test_expects_what_the_image_was_made_with(settings: Settings, facts: dict[str, object]):
    machine = load_recipe(NAME).machine.model_dump(mode="json")
    made = {"kind": "windows", "winrm": "basic", "build": 26100, "machine": machine, **facts}
    ImageStore(settings.image_directory).get_or_build(NAME, "b" * 64, lambda directory: made)

    expected = provider_for(NAME, settings).expectation

    assert expected.test_signing is facts.get("test_signing", True)
    assert expected.language == facts.get("language")
    assert expected.build == 26100


def test_reports_say_which_windows_gave_the_verdict(settings: Settings, image):
    facts = provider_for(f"{NAME}+refs@filter", settings).facts

    assert (facts.name, facts.kind, facts.image_sha256) == (f"{NAME}+refs@filter", "windows", "a" * 64)
    assert facts.notice.startswith(f"guests were booted cold: forks are off for {NAME}, they have not been")
    assert facts.details["build"] == "26100"
    assert facts.details["file system"] == "refs"
    assert facts.details["verifier"] == "filter"


def test_its_machine_has_overlays_over_all_that_the_image_has(settings: Settings, image):
    provider = provider_for(NAME, settings)
    assert isinstance(provider, windows_guest.WindowsProvider)

    spec = provider._spec

    assert {disk.image.path.parent for disk in spec.disks} == {image.directory}
    assert all(disk.writable for disk in spec.disks)
    assert spec.disk("data").serial == data_disk.DISK_SERIAL


@pytest.mark.parametrize(
    ("guests", "systems", "levels", "names"),
    [
        (["reference", NAME], [], [], ("reference", NAME)),
        (["reference", NAME], ["ntfs"], [], ("reference+ntfs", f"{NAME}+ntfs")),
        ([NAME, NAME], ["exfat", "exfat"], [], (f"{NAME}+exfat",)),
        (["reference", NAME], [], ["off", "filter"], ("reference", f"{NAME}@off", f"{NAME}@filter")),
        ([NAME], ["ntfs", "refs"], ["filter"], (f"{NAME}+ntfs@filter", f"{NAME}+refs@filter")),
        ([f"{NAME}+refs", f"{NAME}@off"], ["ntfs"], ["filter"], (f"{NAME}+refs@filter", f"{NAME}+ntfs@off")),
    ],
)
def test_the_matrix_has_every_guest_with_every_file_system_at_every_level(guests, systems, levels, names):
    assert guest_matrix(guests, systems, levels) == names


@pytest.mark.parametrize("name", ["a", "a+b", "a@c", "a+b@c"])
def test_a_guests_name_is_its_parts(name: str):
    assert str(GuestName.parse(name)) == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("reference@filter", "Driver Verifier is for Windows guests"),
        (f"{NAME}@all", "there is no level 'all'"),
        (f"{NAME}+", "is no name of a guest"),
        (f"{NAME}@refs", "there is no level 'refs'"),
    ],
)
def test_a_name_that_says_what_there_is_not_is_refused(settings: Settings, image, name: str, said: str):
    with pytest.raises(ConfigurationError, match=said):
        provider_for(name, settings)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--verifier", "standard"], "--verifier is for Windows guests"),
        (["--verifier", "all"], "there is no level 'all' of Driver Verifier"),
        (["--data-volume", "V:"], "--data-volume takes X:[FILE SYSTEM][,removable], not 'V:'"),
        (["--data-volume", "W:ntfs,fat32"], "a volume has one file system"),
        (["--data-volume", "W:ext4"], "there is no file system 'ext4'"),
        (["--filesystem", "ext4"], "there is no file system 'ext4'"),
    ],
)
def test_what_there_is_not_is_refused_before_any_guest_starts(arguments, said, pytester: pytest.Pytester):
    ran = pytester.runpytest(*arguments, "-p", "no:cacheprovider")

    assert ran.ret == ExitCode.HOST or ran.ret == pytest.ExitCode.USAGE_ERROR
    assert said in "\n".join(ran.errlines)


@pytest.mark.parametrize("system", list(FileSystem))
def test_the_script_of_the_data_disk_is_powershell_that_fits_a_command_line(system: FileSystem):
    script = data_disk.script(system)
    tree = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language())).parse(script.encode())

    assert not tree.root_node.has_error
    assert "@" not in script
    assert powershell(script)


@dataclass(frozen=True)
class BuiltNothing:
    """A driver of which only the package is looked at."""

    package: DriverPackage


BUILT = {
    "observer": BuiltNothing(DriverPackage(name="observer", description="x", sources=(Path("x.c"),))),
    "completion": BuiltNothing(
        DriverPackage(name="completion", description="x", binary=Path("Scanner.sys"), inf=Path("scanner.inf"))
    ),
}


class Recorder:
    """Notes what the stack of a verified guest does, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        monkeypatch.setattr(windows_guest.Stack, "deploy", lambda *_: self.done.append("deploy"))
        monkeypatch.setattr(windows_guest.Stack, "remove", lambda _: self.done.append("remove"))
        monkeypatch.setattr(
            windows_guest, "apply", lambda _, level, names, build, __: self.done.append(f"{level} {names} {build}")
        )


def test_driver_verifier_is_set_before_the_drivers_of_a_stack_are_loaded(monkeypatch: pytest.MonkeyPatch):
    seen = Recorder(monkeypatch)

    windows_guest.VerifiedStack(None, Level.FILTER, 26100).deploy(PLAN, BUILT)  # type: ignore[arg-type]

    assert seen.done == ["remove", "filter ['fltlab-above.sys', 'Scanner.sys'] 26100", "deploy"]


def test_without_driver_verifier_nothing_is_set(monkeypatch: pytest.MonkeyPatch):
    seen = Recorder(monkeypatch)

    windows_guest.VerifiedStack(None, Level.OFF, 26100).deploy(PLAN, BUILT)  # type: ignore[arg-type]

    assert seen.done == ["deploy"]


def test_facts_are_plain_data(settings: Settings, image):
    from dataclasses import asdict

    assert json.loads(json.dumps(asdict(provider_for(NAME, settings).facts)))["kind"] == "windows"


class StandIn:
    """What stands in for the machine: the port of a guest daemon of this machine answers in the guest's place."""

    def __init__(self, spec, run_dir, *, name, deadlines) -> None:
        self.name, self.run_dir, self.deadlines = name, run_dir, deadlines
        self.events: list[object] = []
        self.ports = {5985: StandIn.port}
        self.done: list[str] = []
        self.pid = os.getpid()
        StandIn.last = self

    def start(self) -> None:
        self.done.append("start")

    def stop(self) -> None:
        self.done.append("stop")

    def check(self) -> None:
        pass

    def describe(self) -> str:
        return "a stand-in"

    def on_death(self, callback: object) -> None:
        pass


def test_a_guest_is_started_and_answers_before_a_test_has_it_and_ends_with_it(
    settings: Settings, image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with LocalGuest(tmp_path / "daemon") as daemon:
        StandIn.port = daemon.endpoint.port
        monkeypatch.setattr(windows_guest, "Machine", StandIn)
        monkeypatch.setattr(windows_guest, "WINDOWS", replace(REFERENCE, kind=GuestKind.WINDOWS))
        monkeypatch.setattr(windows_guest, "make_data_disk", lambda guest, system: StandIn.last.done.append(system))
        monkeypatch.setattr(windows_guest, "build_number", lambda identity: 26100)
        monkeypatch.setattr(
            windows_guest.credentials,
            "load",
            lambda path: Credentials(daemon.endpoint.user, daemon.endpoint.password),
        )
        provider = provider_for(f"{NAME}+exfat", settings)

        with provider.open(tmp_path / "guest", None) as opened:
            assert opened.guest.name == f"{NAME}+exfat"
            assert opened.guest.kind is GuestKind.WINDOWS
            assert isinstance(opened.guest.body, WindowsBody)
            assert opened.guest.body.crash is None
            assert opened.guest.succeed("hostname").ok

    assert StandIn.last.done == ["start", "exfat", "stop"]


@pytest.mark.parametrize("code", [ExitCode.PASSED, ExitCode.FAILED])
def test_an_image_is_tried_as_soon_as_it_is_built(code: ExitCode, image, monkeypatch: pytest.MonkeyPatch, capsys):
    tried = []
    plan = SimpleNamespace(recipe=load_recipe(NAME), warnings=())
    monkeypatch.setattr("harness.image.windows.prepare.prepare", lambda request: SimpleNamespace(plan=plan))
    monkeypatch.setattr("harness.image.windows.profile.describe_host", lambda *_, **__: None)
    monkeypatch.setattr("harness.cli.windows_build.build_image", lambda *_, **__: image)
    monkeypatch.setattr("harness.cli.verify.report_self_test", lambda *given, **_: tried.append(given) or code)

    assert main(["image", "build", NAME, "--iso", "windows.iso"]) == code

    assert tried == [(NAME, "auto")]
    assert str(image.directory) in capsys.readouterr().out
