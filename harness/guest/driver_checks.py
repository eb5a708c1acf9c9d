"""Checks with a minifilter of our own: how Windows takes its signature, its registration, and its way out again.

Each deploys `observer` and takes it away. They are made one after the other in one guest: what one leaves, the next
finds.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.errors import DriverError, FltLabError
from harness.guest.deploy import Deployment, DriverUnderTest
from harness.guest.guest import Guest
from harness.guest.probe import PROGRAM, run_probe
from harness.guest.profiles import GuestKind
from harness.guest.registration import SERVICES, quoted
from harness.guest.selftest import Finding
from harness.guest.signature import evidence, signer
from harness.guest.stack import parse_stack, place
from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers
from harness.minifilter.fltmc import parse_instances
from harness.nt import NtStatus

LABEL = "selftest"
COLLISION = 0x801F0011
_HALF = "25"
"""What is put behind an altitude, to tell the one layout from the other."""


def check_drivers(guest: Guest) -> Iterator[Finding]:
    """Make all of them; what goes wrong on the way to an answer is its difference."""
    built = build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["observer", "fltprobe"])
    for title, function in CHECKS:
        if title in _WINDOWS_ONLY and guest.kind is not GuestKind.WINDOWS:
            continue
        try:
            yield function(_Lab(guest, built))
        except FltLabError as error:
            yield Finding(title, "-", error.message, error.details, error.hint or "")


@dataclass(frozen=True)
class _Lab:
    """A guest and what is deployed in it."""

    guest: Guest
    built: dict[str, BuiltDriver]

    def deployment(self, *entries: str) -> Deployment:
        placed = place(parse_stack(list(entries)))
        files = {PROGRAM: self.built["fltprobe"].sys.read_bytes()}
        return Deployment(self.guest, [DriverUnderTest(entry, self.built["observer"]) for entry in placed], files)

    @contextlib.contextmanager
    def deployed(self, *entries: str) -> Iterator[Deployment]:
        """A stack that is gone afterwards; what went wrong inside says more than what goes wrong then."""
        deployment = self.deployment(*entries)
        try:
            deployment.deploy()
            yield deployment
        except FltLabError:
            with contextlib.suppress(FltLabError):
                deployment.remove()
            raise
        deployment.remove()


def _signature(lab: _Lab) -> Finding:
    with lab.deployed(f"observer@{LABEL}") as deployment:
        (item,) = deployment.stack
        said = evidence(lab.guest, item.entry.image)
    own = signer(lab.guest.name)
    shown = next((line.removeprefix("| ") for line in said if "signature:" in line), "no answer")
    difference = f"Windows does not take it, and the guest signs our drivers itself: {own}" if own else ""
    hint = "please report the raw text: what osslsigncode makes is not what this Windows takes"
    return Finding(SIGNATURE, shown, difference, said, hint if difference else "")


def _instances_key(lab: _Lab) -> Finding:
    """The two layouts are given different altitudes: the one that the instance then has tells which was read."""
    with lab.deployed(f"observer@{LABEL}") as deployment:
        entry = deployment.stack[0].entry
        changed = f"{entry.altitude}{_HALF}"
        key = quoted(rf"{SERVICES}\{entry.service}\Parameters\Instances\{entry.instance}")
        deployment.unload(LABEL)
        lab.guest.succeed(f"reg.exe add {key} /v Altitude /t REG_SZ /d {changed} /f")
        deployment.load(LABEL)
        deployment.attach(LABEL)
        rows = parse_instances(lab.guest.run("fltmc.exe instances").output)
    found = next((row.altitude for row in rows if row.filter.casefold() == entry.service.casefold()), "")
    which = {str(entry.altitude): "Instances", changed: r"Parameters\Instances"}.get(found)
    difference = "" if which else f"the instance stands at neither altitude, but at {found or 'none'}"
    return Finding(KEYS, which or "neither", difference, tuple(map(str, rows)))


def _taken(lab: _Lab) -> Finding:
    with lab.deployed(f"observer@{LABEL}") as deployment:
        second = lab.deployment(f"observer@{LABEL}-too#{deployment.stack[0].entry.altitude}")
        try:
            second.deploy()
            told, raw = "two instances stand at one altitude", tuple[str, ...]()
        except DriverError as error:
            known = f"0x{COLLISION:08x}" in error.message
            told, raw = "" if known else f"it is refused, but so: {error.message}", error.details
        second.remove()
    return Finding(TAKEN, "told apart" if told else f"refused with 0x{COLLISION:08x}", told, raw)


def _open_port(lab: _Lab) -> Finding:
    with lab.deployed(f"observer@{LABEL}") as deployment:
        script = f"filter {LABEL}\nunload {deployment.stack[0].entry.service}\n"
        answer, result = run_probe(lab.guest, script)
    last = result.steps[-1] if result.steps else None
    done = last is not None and last.status == NtStatus.SUCCESS
    difference = "" if done else f"it does not unload while its port is open: {last or result.error}"
    return Finding(OPEN_PORT, "unloaded" if done else "not unloaded", difference, (answer[:2000],))


def _made_again(lab: _Lab) -> Finding:
    for _ in range(2):
        with lab.deployed(f"observer@{LABEL}"):
            pass
    return Finding(AGAIN, "made, deleted and made again")


SIGNATURE, KEYS, TAKEN = "our signature", "instances key", "an altitude that is taken"
OPEN_PORT, AGAIN = "unload with an open port", "a service of the same name"
CHECKS: list[tuple[str, Callable[[_Lab], Finding]]] = [
    (SIGNATURE, _signature),
    (KEYS, _instances_key),
    (TAKEN, _taken),
    (OPEN_PORT, _open_port),
    (AGAIN, _made_again),
]
_WINDOWS_ONLY = frozenset({SIGNATURE})
