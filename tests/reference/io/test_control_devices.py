"""Control devices from user mode: opened by a link, asked by codes of all methods, kept while they are open."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers
from harness.wire import kernel as wire
from tests.reference.volumes.conftest import Machine

ADD, HOLD, ATTACH = 0x801, 0x802, 0x803


def code(function: int, method: int = 0) -> str:
    return f"{0x22 << 16 | function << 2 | method:#x}"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, BuiltDriver]:
    ours = build_drivers(Path(__file__).parent, tmp_path_factory.mktemp("control"))
    return {**ours, **build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["fltprobe"])}


@pytest.fixture
def machine(tmp_path: Path, built: Mapping[str, BuiltDriver]) -> Machine:
    (tmp_path / "V").mkdir()
    made = Machine(built, volumes={"V:": tmp_path / "V"})
    made.load("control-device")
    return made


def told(machine: Machine) -> list[str]:
    return [line.split(" ", 1)[1].strip() for line in machine.kernel.log if line.startswith("control ")]


def test_a_program_asks_by_all_methods_and_cancels(machine: Machine) -> None:
    asks = "\n".join(f"ioctl d code={code(ADD, method)} hex=01020304 out=8 => SUCCESS" for method in range(4))
    result = machine.play(
        rf"""
        open d \??\FltlabControl access=rw => SUCCESS
        {asks}
        ioctl d code={code(ADD)} hex=01020304 out=2 => BUFFER_TOO_SMALL
        ioctl d code=0x220000 => INVALID_DEVICE_REQUEST
        fsctl d code={code(ADD)} hex=01 out=1 => INVALID_DEVICE_REQUEST
        open o \??\FltlabControl access=rw options=overlapped => SUCCESS
        ioctl o code={code(HOLD)} async=held => PENDING
        cancel o async=held => SUCCESS
        wait held => CANCELLED
        close o => SUCCESS
        close d => SUCCESS
        """
    )
    added = result.all("ioctl")[:4]
    assert [(step.information, step.data[:4]) for step in added] == [(4, bytes((2, 3, 4, 5)))] * 4
    assert told(machine) == [
        "refused c000000d",
        *("create 0", "create 0", "cleanup 0", "close 0", "cleanup 0", "close 0"),
    ]


def test_a_descriptor_is_checked_where_the_device_asks_for_it(machine: Machine) -> None:
    machine.play(
        r"""
        open a \FileSystem\Filters\FltlabSystem access=rw => ACCESS_DENIED
        open b \FileSystem\Filters\FltlabSystem\below access=rw => SUCCESS
        open c \??\FltlabControl\below access=rw => SUCCESS
        """
    )
    k = machine.kernel
    assert k.run(opened_by_the_system(k, r"\FileSystem\Filters\FltlabSystem"), "open") == 0


def opened_by_the_system(k, path: str):
    from harness.reference.windows.io.create import OpenParameters, open_file
    from harness.reference.windows.io.object_names import ObjectName

    status, _, file = yield from open_file(k.io, ObjectName(path), OpenParameters(access=0x0012_0089))
    if file is not None:
        yield from k.io.cleanup(file)
        yield from k.objects.release(file.object)
    return status


def test_a_driver_stays_as_long_as_its_device_is_open(machine: Machine) -> None:
    k = machine.kernel
    file = k.run(hold_open(k), "open")
    machine.ask(wire.Unload("fltlab-control-device", mandatory=True))
    assert "fltlab-control-device" in machine.ask(wire.ListDrivers()).drivers
    assert told(machine)[-1] == "create 0"  # DriverUnload has not been called
    machine.play(r"open d \??\FltlabControl => NO_SUCH_DEVICE")
    k.run(let_go(k, file), "close")
    k.settle()
    assert machine.ask(wire.ListDrivers()).drivers == ()
    assert told(machine)[-3:] == ["cleanup 0", "close 0", "unload 0"]
    machine.play(r"open d \??\FltlabControl => OBJECT_NAME_NOT_FOUND")
    assert machine.findings == []


def hold_open(k):
    from harness.reference.windows.io.create import OpenParameters, open_file
    from harness.reference.windows.io.object_names import ObjectName

    _, _, file = yield from open_file(k.io, ObjectName(r"\??\FltlabControl"), OpenParameters(access=0x0012_0089))
    return file


def let_go(k, file):
    yield from k.io.cleanup(file)
    yield from k.objects.release(file.object)


def test_a_device_is_attached_by_name_above_another(machine: Machine) -> None:
    machine.play(
        rf"""
        open d \??\FltlabControl access=rw => SUCCESS
        ioctl d code={code(ATTACH)} => SUCCESS
        ioctl d code={code(ADD)} hex=01 out=1 => SUCCESS
        close d => SUCCESS
        """
    )
    machine.ask(wire.Unload("fltlab-control-device", mandatory=True))
    assert "attached 1" in told(machine)
    assert f"passes {int(code(ADD), 16):x}" in told(machine)
    assert machine.findings == []
