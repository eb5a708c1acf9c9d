"""A stack of real minifilters goes into a guest and out of it again, and every failure says which, what and why."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from harness.errors import DriverError, ExitCode, GuestError
from harness.guest import REFERENCE, Guest, LocalGuest
from harness.guest.command import CommandResult
from harness.guest.crash import parse_findings
from harness.guest.deploy import Deployment, DriverUnderTest, capturing
from harness.guest.registration import DriverOptions
from harness.guest.stack import parse_stack, place
from harness.guest.winrm import WinRmSession
from harness.machine.deadlines import Wait
from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers
from harness.minifilter.fltmc import InstanceRow, parse_filters, parse_instances
from harness.minifilter.package import Control
from tests.ports import port_without_a_listener

Built = dict[str, BuiltDriver]
Deploy = Callable[..., Deployment]
NAMES = ["observer", "passthrough", "pending"]
MACHINE_OFFSET = 4  # of the machine type, behind "PE\0\0"


@pytest.fixture(scope="module")
def built() -> Built:
    return build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", NAMES)


@pytest.fixture
def stack_in(guest: LocalGuest, built: Built):
    """Make a deployment of a stack; `options` by label. Whatever the test leaves is removed."""
    made: list[Deployment] = []
    guest.restart_kernel()

    def make(*entries: str, drivers: Built | None = None, **options: DriverOptions) -> Deployment:
        files = drivers or built
        stack = [
            DriverUnderTest(entry, files[entry.driver], options.get(entry.label, DriverOptions()))
            for entry in place(parse_stack(list(entries)))
        ]
        made.append(Deployment(guest, stack))
        return made[-1]

    yield make
    guest.restart_kernel()
    for deployment in made:
        deployment.remove()


def filters(guest: LocalGuest) -> list[str]:
    return [row.name for row in parse_filters(guest.run("fltmc.exe filters").output)]


def test_a_stack_stands_in_its_order(guest: LocalGuest, stack_in: Deploy):
    instances = stack_in("observer@above", "passthrough", "observer@below").deploy()

    assert [row.filter for row in instances] == ["fltlab-above", "fltlab-passthrough", "fltlab-below"]
    assert guest.drivers_under_test == ("fltlab-above", "fltlab-passthrough", "fltlab-below")


def test_one_minifilter_captures_what_the_others_print_and_is_loaded_first(guest: LocalGuest, stack_in: Deploy):
    stack_in("passthrough", "observer@middle", "observer@below").deploy()

    deployed = (guest.system / "fltlab" / "deploy.cmd").read_text()
    loads = [line.split()[2] for line in deployed.splitlines() if line.startswith("fltmc.exe load")]
    assert loads == ["fltlab-middle", "fltlab-below", "fltlab-passthrough"]
    told = [line for line in deployed.splitlines() if "CapturePrints" in line]
    assert len(told) == 1
    assert r"Services\fltlab-middle\Parameters" in told[0]


def test_stack_without_a_driver_of_ours_has_nobody_to_capture(built: Built):
    package = built["observer"].package.model_copy(update={"common": False, "control": Control.NONE})
    (entry,) = place(parse_stack("observer@mine"))

    assert capturing([DriverUnderTest(entry, replace(built["observer"], package=package))]) is None
    assert capturing([]) is None


def test_a_deployment_costs_one_command_however_high_the_stack(
    guest: LocalGuest, stack_in: Deploy, monkeypatch: pytest.MonkeyPatch
):
    deployment = stack_in("observer@above", "passthrough", "pending", "observer@below")
    commands = []
    run = WinRmSession.run

    def noting(session: WinRmSession, command: str, *arguments: Any, **options: Any) -> CommandResult:
        commands.append(command)
        return run(session, command, *arguments, **options)

    monkeypatch.setattr(WinRmSession, "run", noting)

    deployment.deploy()

    assert commands == [r"fltlab-receive --batch && C:\fltlab\deploy.cmd"]


def test_what_drivers_leave_is_told_while_they_stay_and_the_same_when_they_go_for_good(
    guest: LocalGuest, stack_in: Deploy, built: Built
):
    (wrong,) = build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["leaves-port-open"]).values()
    stack_in("observer@above", "leaves-port-open", drivers={**built, "leaves-port-open": wrong}).deploy()
    services = filters(guest)

    would_leave = guest.succeed(f"fltlab-kernel audit {' '.join(services)}")
    assert [finding.rule for finding in parse_findings(would_leave)] == ["UNL-03"]
    assert filters(guest) == services

    left = guest.succeed(f"fltlab-kernel audit --for-good {' '.join(services)}")
    assert left.output == would_leave.output
    assert filters(guest) == []


def test_what_was_removed_leaves_no_filter_instance_or_service(guest: LocalGuest, stack_in: Deploy):
    deployment = stack_in("observer@above", "passthrough")
    deployment.deploy()

    deployment.remove()

    assert filters(guest) == []
    assert parse_instances(guest.run("fltmc.exe instances").output) == []
    assert guest.run("sc.exe query fltlab-passthrough").exit_code == 1060
    assert not list((guest.system / "Windows/System32/drivers").glob("fltlab-*"))
    assert guest.drivers_under_test == ()


def test_the_same_stack_can_be_deployed_again(stack_in: Deploy):
    deployment = stack_in("observer@above", "passthrough")

    deployment.deploy()
    deployment.remove()

    assert len(deployment.deploy()) == 2


def test_one_minifilter_is_detached_attached_unloaded_and_loaded(guest: LocalGuest, stack_in: Deploy):
    deployment = stack_in("observer@above", "passthrough")
    deployment.deploy()

    deployment.detach("passthrough")
    deployment.attach("passthrough")
    deployment.unload("passthrough")
    assert filters(guest) == ["fltlab-above"]
    deployment.load("passthrough")
    assert "fltlab-passthrough" in filters(guest)


def test_both_layouts_of_the_registry_are_written(guest: LocalGuest, stack_in: Deploy):
    stack_in("passthrough#370123.25").deploy()

    for layout in (r"\Instances", r"\Parameters\Instances"):
        key = rf"HKLM\SYSTEM\CurrentControlSet\Services\fltlab-passthrough{layout}"
        assert "fltlab-passthrough" in guest.run(rf'reg.exe query "{key}" /v DefaultInstance').output
        assert "370123.25" in guest.run(rf'reg.exe query "{key}\fltlab-passthrough" /v Altitude').output


def test_a_filter_that_refuses_to_be_unloaded_is_removed_all_the_same(guest: LocalGuest, stack_in: Deploy):
    deployment = stack_in("passthrough", passthrough=DriverOptions(options=("refuse-unload",)))
    deployment.deploy()

    deployment.remove()

    assert filters(guest) == []
    assert guest.run("sc.exe query fltlab-passthrough").exit_code == 1060


# -- failures


def test_a_refused_detach_names_driver_command_code_and_meaning(stack_in: Deploy):
    deployment = stack_in("passthrough", passthrough=DriverOptions(options=("refuse-query-teardown",)))
    deployment.deploy()

    with pytest.raises(DriverError, match="passthrough \\(fltlab-passthrough\\) could not be detached") as error:
        deployment.detach("passthrough")

    text = str(error.value)
    assert "command: fltmc.exe detach fltlab-passthrough V: fltlab-passthrough" in text
    assert "0x801f0010: Do not detach the filter from the volume at this time." in text
    assert error.value.exit_code is ExitCode.FAILED


class Saying:
    """A guest in which every batch file runs to its end, and prints what it is told."""

    kind, profile, name = REFERENCE.kind, REFERENCE, "saying"
    drivers_under_test: tuple[str, ...] = ()

    def __init__(self, **printed: str) -> None:
        """`printed` by the first word of fltmc's command; `instances` for the table at the end."""
        self.printed = printed
        self.batch = ""

    def put_and_run(self, files: Mapping[str, bytes], batch: str, wait: Wait) -> CommandResult:
        del wait
        self.batch = files[batch].decode()
        lines = (line.removesuffix(" || exit /b") for line in self.batch.splitlines()[1:])
        said = (line[5:] if line.startswith("echo ") else self.printed.get(fltmc_word(line), "") for line in lines)
        return CommandResult(batch, 0, "\r\n".join(said).encode("cp850"), b"")


def fltmc_word(line: str) -> str:
    words = line.split()
    return words[1] if words[0] == "fltmc.exe" else ""


TABLE = """
Filter                Volume Name                              Altitude        Instance Name       Frame   SprtFtrs
--------------------  -------------------------------------  ------------  ----------------------  -----   --------
fltlab-passthrough    {volume}                                     {altitude}     fltlab-passthrough      0     00000003
"""


def deployed_in(guest: Saying, built: Built) -> list[InstanceRow]:
    (entry,) = place(parse_stack("passthrough#040500.30"))
    return Deployment(cast("Guest", guest), [DriverUnderTest(entry, built["passthrough"])]).deploy()


def test_an_altitude_may_be_printed_in_another_way(built: Built):
    (row,) = deployed_in(Saying(instances=TABLE.format(volume="V:", altitude="40500.3")), built)

    assert row.altitude == "40500.3"


@pytest.mark.parametrize("altitude", ["40500.31", "abc", ""])
def test_another_altitude_than_the_stacks_is_an_error(built: Built, altitude: str):
    with pytest.raises(GuestError, match=r"fltlab-passthrough is not attached at altitude 040500\.30"):
        deployed_in(Saying(instances=TABLE.format(volume="V:", altitude=altitude)), built)


def test_a_failure_in_another_language_is_one_whatever_the_exit_code(built: Built):
    said = "\r\nFehler beim Laden: 0x80070241\r\nDer Hash f\u00fcr die Datei ist ung\u00fcltig.\r\n"

    with pytest.raises(DriverError, match="could not be loaded: 0x80070241") as error:
        deployed_in(Saying(load=said, instances=TABLE.format(volume="V:", altitude="40500.3")), built)

    assert "| Fehler beim Laden: 0x80070241" in str(error.value)


def test_an_altitude_that_is_taken_names_the_driver_that_cannot_have_it(guest: LocalGuest, stack_in: Deploy):
    stack_in("observer@one#370100").deploy()

    with pytest.raises(DriverError, match="observer \\(fltlab-two\\) could not be attached: 0x801f0011"):
        stack_in("observer@two#370100").deploy()


@pytest.mark.parametrize(
    ("spoil", "meaning"),
    [
        (lambda image: b"no image at all", "not a valid Win32 application"),
        (lambda image: for_arm64(image), "not a valid Win32 application"),
        (lambda image: image.replace(b"FltRegisterFilter\0", b"FltRegisterFiltex\0"), "procedure could not be found"),
    ],
    ids=["no-image", "arm64", "import-of-nobody"],
)
def test_an_image_that_cannot_be_loaded_says_why(
    guest: LocalGuest, stack_in: Deploy, built: Built, tmp_path: Path, spoil: Callable[[bytes], bytes], meaning: str
):
    image = tmp_path / "bad.sys"
    image.write_bytes(spoil(built["passthrough"].sys.read_bytes()))
    bad = {"passthrough": replace(built["passthrough"], sys=image)}

    with pytest.raises(DriverError, match="passthrough \\(fltlab-passthrough\\) could not be loaded") as error:
        stack_in("passthrough", drivers=bad).deploy()

    assert meaning in str(error.value)
    assert filters(guest) == []


def for_arm64(image: bytes) -> bytes:
    """The image with another machine type in its header."""
    at = int.from_bytes(image[0x3C:0x40], "little") + MACHINE_OFFSET
    return image[:at] + (0xAA64).to_bytes(2, "little") + image[at + 2 :]


def test_a_registration_that_fails_is_no_fault_of_the_driver(guest: LocalGuest, stack_in: Deploy):
    first = stack_in("passthrough")
    first.deploy()

    with pytest.raises(GuestError, match="passthrough \\(fltlab-passthrough\\) could not be registered") as error:
        first.deploy()

    assert "1073" in str(error.value)


def test_with_the_port_closed_there_is_no_other_way_to_deploy(guest: LocalGuest, built: Built):
    before = sorted(path.name for path in guest.system.rglob("*"))
    (entry,) = place(parse_stack("passthrough"))

    with port_without_a_listener() as port:
        closed = Guest("closed", REFERENCE, replace(guest.endpoint, port=port))
        with pytest.raises(GuestError) as error:
            Deployment(closed, [DriverUnderTest(entry, built["passthrough"])]).deploy()

    assert error.value.exit_code is ExitCode.HOST
    assert str(port) in str(error.value)
    assert sorted(path.name for path in guest.system.rglob("*")) == before
