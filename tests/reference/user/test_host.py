"""What the daemon asks of a reference kernel's process, with our own drivers and fltprobe."""

import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from harness.minifilter.build import BuiltDriver
from harness.minifilter.probe import parse_probe
from harness.reference.process.host import Host
from harness.reference.process.serving import serve
from harness.reference.windows.kernel import Kernel
from harness.wire import kernel as wire
from harness.wire import kernel_state
from tests.reference.user.conftest import Machine, service_key

Built = dict[str, BuiltDriver]
SCRIPT = rb"""
filter above
open  f V:\a.txt access=rw disposition=create
write f offset=0 length=64 fill=0x41
flush f
close f
"""


def load(machine: Machine, driver: BuiltDriver, label: str, altitude: str = "370010.5", **parameters: Any) -> None:
    name = f"fltlab-{label}"
    machine.load(name, driver.sys, service_key(name, altitude, **parameters))
    machine.ask(wire.Attach(name, "V:"))


def test_loaded_filters_instances_and_volumes_are_listed(machine: Machine, built: Built):
    load(machine, built["observer"], "low", "370010.5")
    load(machine, built["observer"], "high", "370020.5")

    assert [(item.name, item.instances, item.altitude) for item in machine.ask(wire.ListFilters()).filters] == [
        ("fltlab-low", 1, "370010.5"),
        ("fltlab-high", 1, "370020.5"),
    ]
    assert [item.instance for item in machine.ask(wire.ListInstances()).instances] == ["fltlab-high", "fltlab-low"]
    assert machine.ask(wire.ListVolumes()).volumes[0].dos_name == "V:"


def test_fltprobe_runs_and_the_file_is_on_the_volume(machine: Machine, built: Built):
    load(machine, built["observer"], "above")

    ended = machine.run(built["fltprobe"].sys, SCRIPT)

    result = parse_probe(ended.output.decode())
    assert ended.exit_code == 0
    assert [step.status for step in result.steps] == [0] * 5
    assert result.filters["above"].events
    assert (machine.volume / "a.txt").read_bytes()[:64] == b"A" * 64


def test_what_a_detached_instance_is_not_shown_it_does_not_record(machine: Machine, built: Built):
    load(machine, built["observer"], "above")
    machine.ask(wire.Detach("fltlab-above", "V:", "fltlab-above"))

    result = parse_probe(machine.run(built["fltprobe"].sys, SCRIPT).output.decode())

    assert machine.ask(wire.ListInstances()).instances == ()
    assert not [event for event in result.filters["above"].events if not event.is_lifecycle]


def test_an_unloaded_filter_leaves_nothing_behind(machine: Machine, built: Built):
    load(machine, built["pending"], "pending")
    load(machine, built["passthrough"], "above", "370020.5")
    machine.run(built["fltprobe"].sys, SCRIPT)

    machine.ask(wire.Unload("fltlab-above"))
    machine.ask(wire.Unload("fltlab-pending", mandatory=True))

    state = machine.ask(wire.Status())
    assert (state.drivers, state.findings) == ((), ())
    assert machine.ask(wire.ListFilters()).filters == ()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (wire.Unload("nobody"), 0xC01C0013),
        (wire.Attach("nobody", "V:"), 0xC01C0013),
        (wire.Attach("fltlab-above", "X:"), 0xC01C0014),
        (wire.Attach("fltlab-above", "V:", "two", "370010.5"), 0xC01C0011),
        (wire.Attach("fltlab-above", "V:"), 0xC01C0012),
        (wire.Detach("fltlab-above", "V:", "nobody"), 0xC01C0015),
    ],
)
def test_what_the_filter_manager_refuses_has_its_status(
    machine: Machine, built: Built, request_: wire.Request, status: int
):
    load(machine, built["observer"], "above")

    answer = machine.host.answer(request_)

    assert isinstance(answer, wire.Refused)
    assert answer.ntstatus == status


def test_a_driver_that_refuses_to_be_unloaded_stays(machine: Machine, built: Built):
    load(machine, built["observer"], "above", Options=["refuse-unload"])

    answer = machine.host.answer(wire.Unload("fltlab-above"))

    assert isinstance(answer, wire.Refused)
    assert [item.name for item in machine.ask(wire.ListFilters()).filters] == ["fltlab-above"]


def test_a_program_is_no_driver(machine: Machine, built: Built):
    machine.register("probe", built["fltprobe"].sys, {})

    answer = machine.host.answer(wire.Load("probe"))

    assert isinstance(answer, wire.Refused)
    assert answer.ntstatus == 0xC000007B
    assert "it is a program" in answer.message


def test_a_registered_service_can_be_loaded_by_a_program(machine: Machine, built: Built):
    registry = service_key("fltlab-late", "370010.5")
    machine.register("fltlab-late", built["observer"].sys, registry)

    result = parse_probe(
        machine.run(built["fltprobe"].sys, b"load fltlab-late\nfilter late\nattach late\n").output.decode()
    )

    assert [step.status for step in result.steps] == [0, 0, 0]


def test_an_operation_that_is_never_resumed_keeps_its_process_and_is_reported(machine: Machine, built: Built):
    load(machine, built["forgets-pended"], "pending")
    script = rb"""
        open  f V:\a.txt access=rw disposition=create options=overlapped
        write f offset=0 length=512 async=writing
        close f
        filter pending
        rule pending major=read do=pend
        deadline 50
        open  g V:\a.txt access=read options=noncached
        read  g offset=0 length=512
    """

    ended = machine.run(built["fltprobe"].sys, script)

    assert ended.exit_code == 4
    assert ended.remain
    findings = machine.ask(wire.Status()).findings
    assert [(item.rule, item.driver) for item in findings] == [("PRE-PEND-02", "fltlab-pending")]


def test_the_same_seed_gives_the_same_run_and_another_seed_another(built: Built, tmp_path: Path):
    def digest(seed: int, name: str) -> str:
        volume = tmp_path / name
        volume.mkdir()
        system = Kernel(volumes={"V:": volume}, seed=seed)
        machine = Machine(Host(system), system, volume)
        load(machine, built["passthrough"], "above")
        machine.run(built["fltprobe"].sys, SCRIPT)
        return str(machine.ask(wire.Status()).digest)

    first, again, other = digest(5, "a"), digest(5, "b"), digest(6, "c")

    assert first == again
    assert first != other


# -- the lines


def lines(system: Kernel, *requests: str) -> list[tuple[int, Any]]:
    answers = StringIO()
    serve(Host(system), StringIO("".join(requests)), answers)
    return [wire.opened(line) for line in answers.getvalue().splitlines()]


def test_every_request_has_one_answer_and_shutdown_ends_it(tmp_path: Path):
    answers = lines(
        Kernel(volumes={"V:": tmp_path}),
        wire.envelope(1, wire.Status()),
        '{"version": 1, "id": 2, "is": "Dance", "body": {}}\n',
        '{"version": 1, "id": 3, "is": "Load", "body": {}}\n',
        wire.envelope(4, wire.Shutdown()),
        wire.envelope(5, wire.Status()),
    )

    kinds = [type(answer) for _, answer in answers]
    assert kinds == [kernel_state.KernelState, wire.Refused, wire.Refused, wire.Done]
    assert "Dance" in answers[1][1].message
    assert "Load lacks service" in answers[2][1].message


def test_a_fault_of_the_kernel_itself_says_so_and_has_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    system = Kernel(volumes={"V:": tmp_path})
    monkeypatch.setattr(system.flt, "filters", None)

    ((_, answer),) = lines(system, wire.envelope(1, wire.ListFilters()))

    assert answer.state.stop.kind is kernel_state.StopKind.KERNEL_FAULT
    assert "AttributeError" in "".join(answer.state.traceback)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--volume", "/nowhere/at/all"], "no directory"),
        (["--policy", "pageable=perhaps"], "pageable"),
        (["--policy", "pageable"], "NAME=VALUE"),
    ],
)
def test_a_wrong_command_line_is_one_clear_message(tmp_path: Path, arguments: list[str], message: str):
    done = subprocess.run(
        [sys.executable, "-m", "harness.reference.process.host", "--volume", str(tmp_path), *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
