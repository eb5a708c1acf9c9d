"""Driver Verifier in a Windows guest: switched on for the drivers under test, checked after the restart it needs.

A level is mapped to options of verifier.exe (devtest/verifier-command-line.md of the driver documentation). Its exit
code is 0 for done, 1 for an error, 2 for "after a restart". A boot that fails with Verifier on would fail for ever, so
the boot mode that switches it off after one is set first; if Verifier is off after the restart, a driver did that.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from harness.errors import ConfigurationError, DriverError, GuestError
from harness.guest.command import CommandResult
from harness.machine.deadlines import Wait

WINDOWS_11 = 22000
"""The first build that knows rule class 37, file system filter verification, by its own name."""

BOOT_MODES = ("resetonbootfail", "disableafterfail")
"""The boot mode that ends a loop, by its present and its former name."""

DONE = (0, 2)
_DRIVER = re.compile(r"[A-Za-z0-9_.-]+\.sys")
_FLAGS = re.compile(r"^[^\[\n]*[:\uff1a]\s*(0x[0-9A-Fa-f]+)\s*$", re.MULTILINE)
"""The flags as one number: the only line that ends in one behind a colon, whatever it is called."""

_ENABLED = re.compile(r"\[[Xx]\]\s*(0x[0-9A-Fa-f]+|\d+)\b")


class Level(StrEnum):
    """What `--verifier` takes."""

    OFF = "off"
    STANDARD = "standard"
    FILTER = "filter"
    SPECIAL_POOL = "special-pool"
    LOW_RESOURCES = "low-resources"


@dataclass(frozen=True)
class _Choice:
    """Options of verifier.exe, and the flag that /querysettings must then show (0: whatever is not nothing)."""

    options: str
    flag: int


_CHOICES = {
    Level.STANDARD: _Choice("/standard", 0x10),
    Level.SPECIAL_POOL: _Choice("/flags 0x1", 0x1),
    Level.LOW_RESOURCES: _Choice("/faults", 0x4),
}


class Shell(Protocol):
    """The part of a guest that is used here."""

    name: str

    def run(
        self, command: str, stdin: bytes | None = None, timeout: float | Wait = Wait.GUEST_COMMAND
    ) -> CommandResult:
        """Run a command line."""


@dataclass(frozen=True)
class Settings:
    """What `verifier /querysettings` says: the flags, the rule classes where it lists those, the drivers, the text."""

    flags: int
    classes: frozenset[int]
    drivers: frozenset[str]
    text: str


def parse_level(text: str) -> Level:
    """The level of an option's value; ConfigurationError lists those there are."""
    try:
        return Level(text)
    except ValueError:
        raise ConfigurationError(
            f"there is no level {text!r} of Driver Verifier", details=(f"levels: {', '.join(Level)}",)
        ) from None


def switch_on(level: Level, drivers: Sequence[str], build: int) -> list[str]:
    """The command line that switches a level on for drivers (file names) on a build of Windows."""
    if level is Level.OFF:
        return ["verifier.exe /reset"]
    wrong = [name for name in drivers if not _DRIVER.fullmatch(name)]
    if wrong or not drivers:
        raise ConfigurationError(f"Driver Verifier takes file names of drivers, not {wrong or 'none'}")
    return [f"verifier.exe {_choice(level, build).options} /driver {' '.join(drivers)}"]


def apply(guest: Shell, level: Level, drivers: Sequence[str], build: int, restart: Callable[[], object]) -> Settings:
    """Switch a level on, restart, and check that it is on. Without a change nothing is restarted.

    Raises GuestError where verifier.exe refuses, DriverError where Verifier is off again after the restart: a start
    with it failed.
    """
    present = query(guest)
    if _is_on(present, level, drivers, build):
        return present
    if level is not Level.OFF:
        _set_boot_mode(guest)
    for command in switch_on(level, drivers, build):
        _run(guest, command)
    restart()
    settings = query(guest)
    if not _is_on(settings, level, drivers, build):
        raise _not_on(settings, level, drivers)
    return settings


def query(guest: Shell) -> Settings:
    """What Driver Verifier is set to, as of the present boot."""
    return parse_settings(_run(guest, "verifier.exe /querysettings").output)


def parse_settings(text: str) -> Settings:
    """Read what `verifier /querysettings` prints; the words around the numbers are in the language of the guest."""
    enabled = [(found[1].startswith("0x"), int(found[1], 0)) for found in _ENABLED.finditer(text)]
    stated = _FLAGS.search(text)
    flags = int(stated[1], 16) if stated else 0
    for is_flag, number in enabled:
        flags |= number if is_flag else 0
    classes = frozenset(number for is_flag, number in enabled if not is_flag)
    drivers = frozenset(line.strip().lower() for line in text.splitlines() if _DRIVER.fullmatch(line.strip()))
    return Settings(flags, classes, drivers, text)


def _choice(level: Level, build: int) -> _Choice:
    if level is Level.FILTER:
        # The filter manager's own checks come with I/O verification; since 11 they are a rule class that needs it.
        return _Choice("/ruleclasses 5 37", 0x10) if build >= WINDOWS_11 else _Choice("/flags 0x10", 0x10)
    return _CHOICES[level]


def _is_on(settings: Settings, level: Level, drivers: Sequence[str], build: int) -> bool:
    if level is Level.OFF:
        return not settings.drivers and not settings.flags
    flag = _choice(level, build).flag
    # Rule class n is flag 2^(n-1) for the classes that flags have too.
    there = bool(settings.flags & flag) or flag.bit_length() in settings.classes
    return there and {name.lower() for name in drivers} <= settings.drivers


def _set_boot_mode(guest: Shell) -> None:
    results = []
    for mode in BOOT_MODES:
        result = guest.run(f"verifier.exe /bootmode {mode}")
        if result.exit_code in DONE:
            return
        results.append(result)
    raise GuestError(
        f"the guest {guest.name!r} cannot be kept from a boot loop, so Driver Verifier stays off",
        details=results[0].describe(),
    )


def _run(guest: Shell, command: str) -> CommandResult:
    result = guest.run(command)
    if result.exit_code not in DONE:
        raise GuestError(f"verifier.exe failed in the guest {guest.name!r}", details=result.describe())
    return result


def _not_on(settings: Settings, level: Level, drivers: Sequence[str]) -> GuestError | DriverError:
    printed = tuple(f"| {line}" for line in settings.text.splitlines() if line.strip())
    if not settings.drivers and not settings.flags and level is not Level.OFF:
        return DriverError(
            f"Driver Verifier ({level}) is off after the restart: a start with {', '.join(drivers)} under it failed",
            details=printed,
            hint=r"C:\Windows\MEMORY.DMP of the guest says why: fltlab crash",
        )
    return GuestError(f"Driver Verifier is not at {level} for {', '.join(drivers)} after the restart", details=printed)
