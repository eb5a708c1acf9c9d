"""Whatever a driver does wrong, the verdict names it and a place in it: not its neighbours, and never the kernel.

drivers/hostile knows some 360 kinds of wrong, drivers/proper some 40 of what is unusual and right; the name of the file
that is read says which. It stands between two innocent minifilters, and each kind is done in a fork of one kernel. A
run of the tests does what is right, and of what is wrong `USUAL`.
"""

import json
import os
import re
import resource
from pathlib import Path
from typing import Any

import pytest

from harness.minifilter.build import SUPPORT, build_drivers
from harness.reference.machine.scheduler import engine
from harness.reference.process.copies import in_a_copy
from harness.reference.process.host import Host
from harness.reference.windows.ntos import executive
from harness.wire import kernel as wire
from harness.wire.kernel_state import Finding, StopKind
from tests.fltprobe.conftest import Bench
from tests.fuzz.conftest import FACTOR

DRIVERS = Path(__file__).parent / "drivers"
GUILTY = "fltlab-hostile"
USUAL = [
    "rsp_user",
    "rsp_null_jump",
    "rsp_odd",
    "stack_whole_cleared",
    "stack_in_pool",
    "return_address_null",
    "return_into_pool",
    "return_into_export",
    "jump_user",
    "direction_flag",
    "load_cr0",
    "write_gs_base",
    "file_object_destroyed",
    "file_object_zeroed",
    "file_name_wild",
    "file_name_odd",
    "fs_context_pool",
    "file_device_wild",
    "file_event_destroyed",
    "vpb_destroyed",
    "device_destroyed",
    "device_attached_wild",
    "base_device_destroyed",
    "driver_dispatch_wild",
    "driver_fast_io_wild",
    "own_driver_destroyed",
    "own_driver_unload_wild",
    "thread_zeroed",
    "process_zeroed",
    "filter_zeroed",
    "instance_destroyed",
    "volume_destroyed",
    "mdl_cyclic",
    "mdl_flags_cleared",
    "mdl_buffer_freed",
    "dpc_destroyed",
    "timer_destroyed",
    "rundown_over_released",
    "fast_mutex_not_held",
    "context_underrun",
    "context_overrun",
    "irp_destroyed_freed",
    "irp_unprepared_sent",
    "object_over_dereferenced",
    "thread_ends_raised",
    "thread_ends_in_region",
    "thread_at_wild",
    "notify_wild",
    "device_of_another_deleted",
    "volume_device_detached",
    "interrupts_left",
    "cancel_lock_left",
    "attach_left",
    "detach_without",
    "name_destroyed_released",
    "generic_item_destroyed",
    "client_port_wild",
    "status_pending_forgotten",
    "unregisters_in_callback",
    "status_unknown",
    "iopb_major",
    "wait_for_ever",
    "turns_for_ever",
    "leak",
    "unwritten_tail_read",
    "unwritten_context_read",
    "unwritten_file",
    "unwritten_message",
    "unwritten_answer",
    "unwritten_value",
    "unwritten_name",
    "unwritten_pointer",
    "write_efer",
    "own_data_destroyed_performed",
    "own_data_file_wild",
    "resource_held_destroyed",
    "resource_free_zeroed",
    "push_lock_held_zeroed",
    "push_lock_never_initialized",
    "queries_beyond_block",
    "replies_beyond_block",
    "value_beyond_block",
]
SCRIPT = r"""
deadline 500
open f V:\{kind} access=rw options=noncached
read f offset=0 length=512
close f
open f V:\other access=rw options=noncached
write f offset=0 length=512 fill=1
close f
"""
CONNECTED = "connect p \\hostile\n"
MESSAGES = {"unwritten_answer": "send-message p data=01 room=64\n"}
"""What a program sends to the driver besides, by kind."""
SECONDS = 60.0
CPU_SECONDS = 30
STRANGERS = frozenset({StopKind.KERNEL_FAULT, StopKind.MISSING_EXPORT})


def known(driver: str = "hostile") -> list[str]:
    """The kinds that a driver knows."""
    sources = "".join(path.read_text() for path in sorted((DRIVERS / driver).glob("*.c")))
    return re.findall(r"^(?:KIND|ASM|SPOIL|SWAP|DO)\((\w+)", sources, re.MULTILINE)


Stack = tuple[Bench, str]
"""A kernel with a driver between two innocent ones, and the program that does the I/O."""


def make_stack(volume: Path, driver: str) -> Stack:
    built = build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["fltprobe", "passthrough"])
    built |= build_drivers(DRIVERS, SUPPORT.parent / "build" / "fuzz-tests")
    for name in [*known(driver), "other", "nothing"]:
        (volume / name).write_bytes(bytes(1024))
    bench = Bench(volume, built)
    bench.load("passthrough", "above")
    bench.load(driver)
    bench.load("passthrough", "below")
    return bench, str(built["fltprobe"].sys)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return make_stack(tmp_path_factory.mktemp("kinds"), "hostile")


def verdicts(stack: Stack, kind: str, driver: str = "hostile") -> Any:
    """What the kernel says of a kind: how it has stopped, if it has, and its findings; a text if it said nothing."""
    bench, program = stack
    script = (CONNECTED if driver == "hostile" else "") + SCRIPT.replace("{kind}", kind) + MESSAGES.get(kind, "")
    steps = (
        wire.Run(program, (), script.encode()),
        *(wire.Unload(service) for service in (f"fltlab-{driver}", "fltlab-above", "fltlab-below")),
    )

    def work(write: Any) -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        host, stop = Host(bench.system), None
        for step in steps:
            answer = host.answer(step)
            if isinstance(answer, wire.Stopped):
                assert answer.state.stop is not None
                stop = (
                    answer.state.stop.kind,
                    answer.state.stop.driver,
                    answer.state.stop.location,
                    str(answer.state.stop),
                )
                break
        found = [(one.driver, one.text, one.chain) for one in bench.system.verifier.findings]
        write(json.dumps([stop, found]).encode())

    done = in_a_copy(work, SECONDS)
    if done.out_of_time or done.exit_code:
        return f"the kernel's process ended with {done.exit_code}"
    return json.loads(done.written)


def complaint(said: Any) -> str:
    """What is wrong with the verdict on a kind, or ""."""
    if isinstance(said, str):
        return said
    stop, found = said
    findings = [Finding(text, driver=driver, chain=tuple(chain)) for driver, text, chain in found]
    kind, driver, location, text = stop or (None, None, None, "")
    if kind in STRANGERS:
        return text
    named = [one for one in findings if one.driver == GUILTY]
    others = [one for one in findings if one.driver != GUILTY]
    if others or driver not in (GUILTY, None):
        return f"another is named: {others or text}"
    if not named and driver is None:
        return f"nobody is named: {text or 'no verdict'}"
    told = (location or "").startswith(GUILTY) or any(one.chain for one in named) or f"{GUILTY}+0x" in text
    if not told:
        return f"no place is told: {text or named}"
    return ""


def test_whatever_a_driver_does_wrong_it_is_named_with_a_place(
    stack: Stack, tell: dict[str, object], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine, "RUNAWAY_INSTRUCTIONS", 2_000_000)
    monkeypatch.setattr(engine, "RUNAWAY_CALLS", 20_000)
    monkeypatch.setattr(engine, "PATIENCE", 2)
    monkeypatch.setattr(executive, "LONGEST_REQUEST", 100_000_000)
    kinds = known() if float(os.environ.get(FACTOR, "1")) > 1 else USUAL

    wrong = {kind: said for kind in kinds if (said := complaint(verdicts(stack, kind)))}

    tell |= {"kinds of wrong": len(kinds), "not as they should be": sorted(wrong)}
    assert wrong == {}


def test_nothing_wrong_is_no_verdict(stack: Stack):
    assert verdicts(stack, "nothing") == [None, []]


def test_what_is_unusual_and_right_is_no_verdict(tmp_path: Path):
    stack = make_stack(tmp_path, "proper")

    said = {kind: verdicts(stack, kind, "proper") for kind in known("proper")}

    assert {kind: verdict for kind, verdict in said.items() if verdict != [None, []]} == {}


def test_the_usual_kinds_are_known():
    assert set(USUAL) <= set(known())
