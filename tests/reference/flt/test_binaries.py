"""The reference kernel runs what is in the binary: it knows no driver by name, and a patched one behaves as patched."""

from pathlib import Path

import pytest

from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers
from harness.minifilter.probe import parse_probe
from harness.minifilter.trace import Operation, Trace
from harness.nt import IrpMajor, NtStatus, OperationClass, PreopStatus
from harness.reference.machine.loader.exports import NTOSKRNL, find_export
from harness.reference.process.host import Host
from harness.reference.windows.kernel import Kernel
from harness.wire import kernel as wire
from harness.wire import kernel_state
from tests.reference.user.conftest import Machine, service_key

Built = dict[str, BuiltDriver]
LABELS = ("above", "middle", "below")
COMPLETE_IN_R9 = b"\x41\xb9\x04\x00\x00\x00"  # mov r9d, FLT_PREOP_COMPLETE
NO_CALLBACK_IN_R9 = b"\x41\xb9\x01\x00\x00\x00"  # mov r9d, FLT_PREOP_SUCCESS_NO_CALLBACK
PREPARE = rb"""
open  p V:\data.bin access=write disposition=overwrite-if options=noncached
write p offset=0 length=8192 fill=0x5A
close p
filter above
filter middle
filter below
"""


@pytest.fixture(scope="module")
def built() -> Built:
    return build_drivers(
        SUPPORT,
        SUPPORT.parent / "build" / "drivers",
        ["observer", "passthrough", "completion", "pending", "fltprobe"],
    )


def make_machine(folder: Path, **options: object) -> Machine:
    volume = folder / "volume"
    volume.mkdir(parents=True)
    system = Kernel(volumes={"V:": volume}, **options)  # type: ignore[arg-type]
    return Machine(Host(system), system, volume)


def load(machine: Machine, image: Path, label: str, altitude: str) -> None:
    name = f"fltlab-{label}"
    machine.load(name, image, service_key(name, altitude))
    machine.ask(wire.Attach(name, "V:"))


def stack(machine: Machine, built: Built, middle: Path) -> None:
    for label, image, altitude in (
        ("above", built["observer"].sys, "370030.5"),
        ("middle", middle, "370020.5"),
        ("below", built["observer"].sys, "370010.5"),
    ):
        load(machine, image, label, altitude)


def trace_of(machine: Machine, built: Built, script: bytes) -> Trace:
    ended = machine.run(built["fltprobe"].sys, PREPARE + script)
    assert ended.exit_code == 0, ended
    return Trace.of(parse_probe(ended.output.decode()), LABELS)


COMPLETED_READ = rb"""
rule middle major=read name=data.bin do=complete status=0xC0000022
open f V:\data.bin access=read options=noncached
read f offset=0 length=4096
"""


def completed_read(machine: Machine, built: Built) -> Operation:
    return trace_of(machine, built, COMPLETED_READ).only(IrpMajor.READ, name="data.bin")


def test_a_renamed_driver_is_the_same_driver(built: Built, tmp_path: Path):
    image = tmp_path / "sausage.sys"
    image.write_bytes(built["completion"].sys.read_bytes())
    machine = make_machine(tmp_path)
    stack(machine, built, image)

    read = completed_read(machine, built)

    assert read.path == ["above.pre", "middle.pre", "above.post"]
    assert read.of("above").post.status == NtStatus.ACCESS_DENIED


def test_one_status_patched_in_the_machine_code_changes_what_happens(built: Built, tmp_path: Path):
    code = built["completion"].sys.read_bytes()
    assert code.count(COMPLETE_IN_R9) == 1
    image = tmp_path / "patched.sys"
    image.write_bytes(code.replace(COMPLETE_IN_R9, NO_CALLBACK_IN_R9))
    machine = make_machine(tmp_path)
    stack(machine, built, image)

    read = completed_read(machine, built)

    assert read.of("middle").pre.returned == PreopStatus.SUCCESS_NO_CALLBACK
    assert read.path == ["above.pre", "middle.pre", "below.pre", "below.post", "above.post"]
    assert read.of("above").post.status == NtStatus.SUCCESS


def test_callbacks_run_by_altitude_whatever_the_order_of_loading(built: Built, tmp_path: Path):
    machine = make_machine(tmp_path)
    for label, altitude in (("middle", "370010.25"), ("below", "370010.2"), ("above", "370010.3")):
        load(machine, built["observer"].sys, label, altitude)

    read = trace_of(
        machine, built, b"open f V:\\data.bin access=read options=noncached\nread f offset=0 length=4096\n"
    ).only(IrpMajor.READ, name="data.bin")

    assert read.path == [
        *(f"{label}.pre" for label in ("above", "middle", "below")),
        *(f"{label}.post" for label in ("below", "middle", "above")),
    ]


def test_handle_and_cache_decide_between_irp_and_fast_io(built: Built, tmp_path: Path):
    machine = make_machine(tmp_path)
    stack(machine, built, built["passthrough"].sys)

    trace = trace_of(
        machine,
        built,
        rb"""
open cached V:\data.bin access=read
read cached offset=0 length=512
read cached offset=512 length=512
open plain V:\data.bin access=read options=noncached
read plain offset=0 length=512
read plain offset=0 length=512
""",
    )

    def classes(file_object: int) -> list[OperationClass | None]:
        reads = trace.all(IrpMajor.READ, name="data.bin")
        return [read.operation_class for read in reads if read.file_object == file_object]

    cached, plain = (create.file_object for create in trace.all(IrpMajor.CREATE, name="data.bin"))
    assert classes(cached) == [OperationClass.IRP, OperationClass.FAST_IO]
    assert classes(plain) == [OperationClass.IRP, OperationClass.IRP]


def test_seeds_between_them_show_every_permitted_place_of_a_post_and_nothing_else(built: Built, tmp_path: Path):
    permitted = {("same", 0), ("arbitrary", 2)}
    places: set[tuple[str, int]] = set()
    for seed in range(60):
        machine = make_machine(tmp_path / str(seed), seed=seed)
        stack(machine, built, built["passthrough"].sys)
        read = trace_of(
            machine, built, b"open f V:\\data.bin access=read options=noncached\nread f offset=0 length=4096\n"
        ).only(IrpMajor.READ, name="data.bin")
        pre, post = read.of("middle").pre, read.of("middle").post
        places.add(("same" if post.thread == pre.thread else "arbitrary", int(post.irql)))
        if permitted <= places and seed > 5:
            break

    assert permitted <= places
    assert all(irql <= 2 for _, irql in places)


REPLACED = b"ExAcquireFastMutex\0"


def test_a_call_of_what_the_model_lacks_is_a_bug_check_of_its_own_kind(built: Built, tmp_path: Path):
    code = built["completion"].sys.read_bytes()
    assert code.count(REPLACED) == 1
    image = tmp_path / "needy.sys"
    # Another name, not longer, that ntoskrnl.exe exports, and that the reference kernel does not have.
    image.write_bytes(code.replace(REPLACED, missing_name(len(REPLACED) - 1)))
    machine = make_machine(tmp_path)
    stack(machine, built, image)

    answer = machine.host.answer(wire.Run(str(built["fltprobe"].sys), (), PREPARE))

    assert isinstance(answer, wire.Stopped)
    stop = answer.state.stop
    assert stop is not None
    assert stop.kind is kernel_state.StopKind.MISSING_EXPORT
    assert missing_name(len(REPLACED) - 1).rstrip(b"\0").decode() in stop.message
    assert stop.driver == "fltlab-middle"
    again = machine.host.answer(wire.ListFilters())
    assert isinstance(again, wire.Stopped)
    assert again.state.stop == stop


def missing_name(length: int) -> bytes:
    """An export of ntoskrnl.exe of at most this length that the model does not implement, padded with NULs."""
    names = (
        (Path(__file__).parents[3] / "harness/reference/machine/loader/export_names/ntoskrnl.txt").read_text().split()
    )
    name = next(name for name in names if len(name) <= length and find_export(NTOSKRNL, name) is None)
    return name.encode().ljust(length + 1, b"\0")
