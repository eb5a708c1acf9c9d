"""What is hard on a driver: to be unloaded while it is at work, to be loaded again, and to be given no memory.

It comes after the workload, in the same guest, once the driver has been unloaded in peace. Steps may fail where memory
is short; the driver may not, and must leave as little behind as before.
"""

from collections.abc import Callable, Sequence

from harness.fleet.trial.workload import Part
from harness.guest import Guest
from harness.guest.registration import word
from harness.minifilter.probe import ProbeResult
from harness.nt import NtStatus

EVERY = 6
"""One in so many of its allocations fails."""
FILES = range(4)
UNTIL_DEATH = 0.001
"""Seconds of the guest's time that I/O goes on before the service is killed: a part of what `asking` takes."""
SCARCE = ("create", "cached", "rename", "enumerate", "threads")
"""The parts of the workload that are done while memory is short."""


def under_load(service: str | None) -> Part:
    """Work of several threads, in the middle of which a service's driver is unloaded; None: nothing is."""
    stop = f"unload {word(service)}" if service is not None else "sleep 0"
    lines = [
        *(rf"open a{n} V:\under-load\file{n}.bin access=rw,delete disposition=overwrite-if" for n in FILES),
        *(f"spawn t{n} write a{n} offset=0 length=65536 fill=0x{n + 1}0" for n in FILES),
        *(rf"spawn o{n} open b{n} V:\under-load\other{n}.bin access=rw disposition=overwrite-if" for n in FILES),
        f"spawn stop {stop}",
        *(f"spawn u{n} read a{n} offset=0 length=4096" for n in FILES),
        *(rf"spawn q{n} query-path V:\under-load\file{n}.bin" for n in FILES),
        *(f"wait t{n}" for n in FILES),
        *(f"wait o{n}" for n in FILES),
        *(f"spawn x{n} flush a{n}" for n in FILES),
        *(f"spawn p{n} write b{n} offset=0 length=10000 fill=0x{n + 1}1" for n in FILES),
        "wait stop",
        *(f"wait x{n}" for n in FILES),
        *(f"wait p{n}" for n in FILES),
        *(f"read a{n} offset=0 length=65536" for n in FILES),
        *(f"read b{n} offset=0 length=10000" for n in FILES),
        *(f"close a{n}" for n in FILES),
        *(f"close b{n}" for n in FILES),
    ]
    return Part("under-load", "\n".join(lines), "under-load")


def to_ask_about() -> Part:
    """Files with something in them, made while the service is there."""
    lines = [
        step
        for n in FILES
        for step in (
            rf"open f{n} V:\asking\file{n}.bin access=write disposition=overwrite-if",
            f"write f{n} length=4096 fill=0x{n + 1}0",
            f"close f{n}",
        )
    ]
    return Part("asking", "\n".join(lines), "asking")


def asking() -> Part:
    """Work with these files, by several threads, that a driver may ask its service about."""
    rounds = [
        *(rf"spawn o{{0}}{n} open a{{0}}{n} V:\asking\file{n}.bin access=rw" for n in FILES),
        *(f"wait o{{0}}{n}" for n in FILES),
        *(f"spawn w{{0}}{n} write a{{0}}{n} offset=0 length=512 fill=0x{n + 1}1" for n in FILES),
        *(f"read a{{0}}{n} offset=512 length=512" for n in FILES),
        *(f"wait w{{0}}{n}" for n in FILES),
        *(f"close a{{0}}{n}" for n in FILES),
    ]
    script = "\n".join(line.format(f"{round_}x") for round_ in range(6) for line in rounds)
    return Part("asking", script, "asking")


def same_answers(lines: Sequence[str]) -> tuple[str, ...]:
    """The lines whose answers are compared: what a read finds that others write meanwhile, nobody can say."""
    return tuple("" if line.startswith(("spawn u", "spawn q", "spawn stop", "wait stop")) else line for line in lines)


def starve(guest: Guest, service: str, every: int) -> int:
    """Have one in `every` allocations of a service's driver fail (0: none any more); how many have failed so far.

    GuestError if the guest is no reference kernel: on Windows `--verifier low-resources` does it.
    """
    return int(guest.succeed(f"fltlab-kernel starve {every} {word(service)}").output)


def starved(
    guest: Guest, service: str, parts: Sequence[Part], run: Callable[[Sequence[str]], ProbeResult]
) -> tuple[int, int]:
    """Do some parts while memory is short: how many allocations failed, and how many steps for want of memory."""
    if guest.profile.kernel_status is None:
        return 0, 0
    before, failed = starve(guest, service, EVERY), 0
    for part in parts:
        failed += sum(step.status == NtStatus.INSUFFICIENT_RESOURCES for step in run(part.lines).steps)
    return starve(guest, service, 0) - before, failed
