"""A driver whose code does anything at all is refused, works, or is stopped as a driver; the kernel itself never fails.

The code of a minifilter is changed in a few places: wrong registers, wrong addresses, wrong calls, jumps to nowhere.
"""

import gc
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pefile
import pytest

from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers
from harness.minifilter.probe import parse_probe
from harness.reference.machine.scheduler import engine
from harness.reference.process.host import Host
from harness.reference.windows.ntos import executive
from harness.wire import kernel as wire
from harness.wire.kernel_state import StopKind
from tests.fltprobe.conftest import Bench

NAME = "passthrough"
SERVICE = f"fltlab-{NAME}"
SCRIPT = rf"""
deadline 500
filter {NAME}
rule   {NAME} do=with-callback
open   f V:\data.bin access=rw
read   f offset=0 length=512
write  f offset=512 length=512 fill=1
read   f offset=512 length=512
query  f class=standard
close  f
unload {SERVICE}
"""


@pytest.fixture(scope="module")
def built() -> dict[str, BuiltDriver]:
    return build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["fltprobe", NAME])


def code_of(image: bytes) -> list[tuple[int, int]]:
    """Where in the file its code lies."""
    with pefile.PE(data=image, fast_load=True) as parsed:
        return [
            (section.PointerToRawData, section.PointerToRawData + min(section.SizeOfRawData, section.Misc_VirtualSize))
            for section in parsed.sections
            if section.Characteristics & 0x20  # IMAGE_SCN_CNT_CODE
        ]


def hostile(image: bytes, where: list[tuple[int, int]], chosen: random.Random) -> bytes:
    changed = bytearray(image)
    for _ in range(chosen.choice((1, 1, 2, 4, 16))):
        at = chosen.randrange(*chosen.choice(where))
        match chosen.randrange(4):
            case 0:
                changed[at] ^= 1 << chosen.randrange(8)
            case 1:
                changed[at] = chosen.choice((0x90, 0xCC, 0xC3, 0xEB, 0xF4, 0x0F, 0xE8, 0xFF))
            case 2:
                changed[at : at + 4] = chosen.randbytes(4)
            case _:
                changed[at : at + 8] = chosen.randbytes(8)
    return bytes(changed)


def attack(bench: Bench, program: str) -> wire.Answer:
    """Load the driver, attach it, do I/O, unload it: the answer that ended it."""
    host = Host(bench.system)
    steps: list[wire.Request] = [wire.Load(SERVICE), wire.Attach(SERVICE, "V:"), wire.Run(program, (), SCRIPT.encode())]
    answer: wire.Answer = wire.Done()
    for step in steps:
        answer = host.answer(step)
        if isinstance(answer, wire.Refused | wire.Stopped):
            return answer
    assert isinstance(answer, wire.Ended)
    parse_probe(answer.stdout.decode())
    return answer


def test_whatever_a_drivers_code_does_it_is_the_drivers_end_and_not_the_kernels(
    built: dict[str, BuiltDriver],
    times: Callable[[int], range],
    tell: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(engine, "RUNAWAY_INSTRUCTIONS", 2_000_000)
    monkeypatch.setattr(engine, "RUNAWAY_CALLS", 20_000)
    monkeypatch.setattr(executive, "LONGEST_REQUEST", 100_000_000)
    whole = built[NAME].sys.read_bytes()
    where = code_of(whole)
    ends: dict[str, int] = {}
    named = 0
    for seed in times(8):
        folder = tmp_path / f"{seed}"
        (folder / "volume").mkdir(parents=True)
        (folder / "volume" / "data.bin").write_bytes(bytes(4096))
        image = folder / "hostile.sys"
        image.write_bytes(hostile(whole, where, random.Random(seed)))
        changed = {**built, NAME: replace(built[NAME], sys=image)}
        bench = Bench(folder / "volume", changed, seed)
        bench.register(NAME)
        answer = attack(bench, str(built["fltprobe"].sys))
        end = "worked" if isinstance(answer, wire.Ended) else "refused"
        if isinstance(answer, wire.Stopped):
            stop = answer.state.stop
            assert stop is not None
            end = stop.kind.value
            assert stop.kind not in {StopKind.KERNEL_FAULT, StopKind.MISSING_EXPORT}, (
                seed,
                answer.state.message,
                "".join(answer.state.traceback),
            )
            assert answer.state.message
            named += stop.driver == SERVICE
            assert stop.driver in {SERVICE, None}, (seed, stop)
        ends[end] = ends.get(end, 0) + 1
        del bench
        gc.collect()  # a kernel's memory is a cycle away
    stopped = sum(count for end, count in ends.items() if end not in {"worked", "refused"})
    assert stopped
    tell |= {"hostile drivers": sum(ends.values()), "ends": ends, "stopped and named": f"{named} of {stopped}"}
