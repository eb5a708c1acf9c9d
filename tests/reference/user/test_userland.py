"""Console programs and services: what they import of kernel32, advapi32 and the C runtime, on a reference guest."""

import shutil
from pathlib import Path

import pytest

from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers
from harness.wire import kernel as wire
from harness.wire import programs
from tests.reference.user.conftest import Machine, service_key

PROGRAMS = Path(__file__).parent / "programs"
NOT_FOUND, CONTROL_C_EXIT = 0xC0000263, 0xC000013A


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs, and the library beside them."""
    own = build_drivers(PROGRAMS, SUPPORT.parent / "build" / "user-tests")
    built: dict[str, BuiltDriver] = {
        **own,
        **build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["userland"]),
    }
    place = tmp_path_factory.mktemp("programs")
    for item in built.values():
        shutil.copyfile(item.sys, place / item.sys.name)
    return place


def start(machine: Machine, image: Path, *arguments: str, ready: str = "", service: str = "") -> programs.Progress:
    told = machine.ask(programs.Start(str(image), arguments, ready=ready, service=service))
    assert isinstance(told, programs.Progress)
    return told


def test_a_console_program_finds_what_services_use_and_ends_when_it_is_told_to(machine: Machine, folder: Path):
    began = start(machine, folder / "everything.exe", "two words", "three", ready="all done\n")
    assert (began.stdout, began.exit_code) == (b"all done\n", None)

    ended = machine.ask(programs.End(began.process))

    assert (ended.stdout, ended.exit_code) == (b"told to end: 0\nat exit\n", 3)
    key = machine.system.registry.find(r"\REGISTRY\MACHINE\SOFTWARE\fltlab\everything")
    assert key is not None, "the registry is the one that drivers see"


def test_two_of_them_have_memory_of_their_own(machine: Machine, folder: Path):
    first = start(machine, folder / "worker.exe", service="one")
    second = start(machine, folder / "worker.exe", service="two")

    assert first.stdout == b"one runs, 1 argument\n"
    assert second.stdout == b"two runs, 1 argument\n"
    for told in (first, second):
        ended = machine.ask(programs.End(told.process))
        assert (ended.stdout, ended.exit_code) == (b"control 1\ndispatched\n", 0)


LISTED = r"""fltlab-observer: 1
end 80070103, 0
V: \Device\HarddiskVolume1
  fltlab-observer of fltlab-observer at 370020
  end 80070103, 0
end 80070103, 0
no filter 801f0013
create 0
small 8007007a
1 1 370020
close 0
instance 0
\Device\HarddiskVolume1
none 801f0013
one 0 80070103 0
"""


def test_the_tools_of_a_minifilter_list_filters_instances_and_volumes(machine: Machine, folder: Path) -> None:
    driver = build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["observer"])["observer"].sys
    machine.load("fltlab-observer", driver, service_key("fltlab-observer", "370020"))
    machine.ask(wire.Attach("fltlab-observer", "V:"))

    assert machine.run(folder / "lister.exe").output.decode() == LISTED


def test_a_service_that_is_started_as_a_program_is_told_so(machine: Machine, folder: Path):
    assert machine.run(folder / "worker.exe").output == b"no service: 1063\n"


def test_in_the_background_nobody_types_and_nobody_has_gone(machine: Machine, folder: Path):
    began = start(machine, folder / "worker.exe", "asks")
    assert (began.stdout, began.exit_code) == (b"asks\n", None)

    ended = machine.ask(programs.End(began.process))
    assert (ended.stdout, ended.exit_code) == (b"", CONTROL_C_EXIT)

    assert machine.run(folder / "worker.exe", args=("asks",)).output.startswith(b"asks\ngot -1\n")


def test_one_that_is_terminated_says_nothing_more(machine: Machine, folder: Path):
    began = start(machine, folder / "worker.exe", service="one")

    ended = machine.ask(programs.End(began.process, 0))

    assert (ended.stdout, ended.exit_code) == (b"", CONTROL_C_EXIT)


def test_everything_that_is_missing_is_named_before_the_program_starts(machine: Machine, folder: Path, tmp_path: Path):
    data = (folder / "everything.exe").read_bytes()
    data = data.replace(b"TlsAlloc\0", b"TlsAllox\0").replace(b"RegGetValueW\0", b"RegGetValueX\0")
    (tmp_path / "lacking.exe").write_bytes(data)
    shutil.copyfile(folder / "userland.dll", tmp_path / "userland.dll")

    refused = machine.host.answer(wire.Run(str(tmp_path / "lacking.exe")))

    assert isinstance(refused, wire.Refused)
    assert refused.ntstatus == NOT_FOUND
    assert "lacking.exe imports 2 names that a reference guest does not have: " in refused.message
    assert "KERNEL32.dll!TlsAllox" in refused.message.replace("kernel32", "KERNEL32")


def test_without_the_library_a_program_is_refused_in_words(machine: Machine, folder: Path, tmp_path: Path):
    shutil.copyfile(folder / "worker.exe", tmp_path / "worker.exe")

    refused = machine.host.answer(wire.Run(str(tmp_path / "worker.exe")))

    assert isinstance(refused, wire.Refused)
    assert "imports more than ntdll and fltlib, and userland.dll is not there" in refused.message
