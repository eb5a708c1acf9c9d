r"""How a minifilter is registered in a guest: its service, its Parameters, and its instance in both layouts.

24H2 moved instance definitions from `Instances` to `Parameters\Instances`, and SupportedFeatures with them; both are
written, with the same content.
Sources: wdk-docs ifs/creating-an-inf-file-for-a-minifilter-driver.md, and docs/windows.md.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.errors import ConfigurationError
from harness.guest.stack import PlacedEntry
from harness.minifilter.registry import RegistryValue

SERVICES = r"HKLM\SYSTEM\CurrentControlSet\Services"
NO_AUTOMATIC_ATTACHMENT = 1
SUPPORTED_FEATURES = 3


@dataclass(frozen=True)
class DriverOptions:
    """What a driver of ours reads from its Parameters key. None leaves a value out: the driver has its own default."""

    operations: tuple[str, ...] | None = None
    contexts: tuple[str, ...] | None = None
    options: tuple[str, ...] | None = None
    event_capacity: int | None = None

    def values(self) -> Iterator[tuple[str, str, str]]:
        """Name, type and data of each value, as reg.exe takes them."""
        for name, strings in (("Operations", self.operations), ("Contexts", self.contexts), ("Options", self.options)):
            if strings is not None:
                yield name, "REG_MULTI_SZ", r"\0".join(strings)
        if self.event_capacity is not None:
            yield "EventCapacity", "REG_DWORD", str(self.event_capacity)


_LAYOUTS = ("Instances", r"Parameters\Instances")
"""Where instances stand below a service: the older place, and that since Windows 11 24H2."""


def register(
    entry: PlacedEntry,
    group: str,
    options: DriverOptions,
    *,
    captures_prints: bool = False,
    legacy: bool = False,
    values: Sequence[RegistryValue] = (),
) -> list[str]:
    """The commands that make a service of an entry whose image is in its place. A legacy filter has no instances.

    `values` are what else its author wants in the registry; they are the last word. Where they have instances, these
    are in their layout alone, the older or the newer: what stood in the other one would count against them.
    """
    key = rf"{SERVICES}\{entry.service}"
    depend = "" if legacy else " depend= FltMgr"
    commands = [
        (
            f"sc.exe create {word(entry.service)} type= filesys start= demand error= normal "
            rf"binPath= \SystemRoot\System32\drivers\{entry.service}.sys group= {quoted(group)}{depend}"
        ),
        *(
            _add(place, "SupportedFeatures", "REG_DWORD", str(SUPPORTED_FEATURES))
            for place in (key, rf"{key}\Parameters")
            if not legacy
        ),
        *(_add(rf"{key}\Parameters", name, kind, data) for name, kind, data in options.values()),
    ]
    if captures_prints:
        commands.append(_add(rf"{key}\Parameters", "CapturePrints", "REG_DWORD", "1"))
    own = [at for at in _LAYOUTS if any(value.key.lower().startswith(f"{at}\\".lower()) for value in values)]
    for layout in () if legacy else (rf"{key}\{at}" for at in own or _LAYOUTS):
        instance = rf"{layout}\{entry.instance}"
        commands += [
            _add(layout, "DefaultInstance", "REG_SZ", entry.instance),
            _add(instance, "Altitude", "REG_SZ", str(entry.altitude)),
            _add(instance, "Flags", "REG_DWORD", str(NO_AUTOMATIC_ATTACHMENT)),
        ]
    for value in values:
        place = value.key if value.key.upper().startswith("HKLM\\") else rf"{key}\{value.key}".rstrip("\\")
        commands.append(_add(place, value.name, value.type, value.data))
    return commands


def trust(certificates: Sequence[str]) -> list[str]:
    """The commands that let a guest trust what these certificates (paths in the guest) have signed."""
    return [
        f"certutil.exe -f -addstore {store} {quoted(path)}"
        for path in certificates
        for store in ("Root", "TrustedPublisher")
    ]


def word(text: str) -> str:
    """A word of a command line, in quotes where it has blanks: a user's instance may."""
    return quoted(text) if re.search(r"\s", text) else text


def quoted(word: str) -> str:
    r"""A word of a command line in quotes; ConfigurationError for one that cmd.exe cannot be given whole.

    Before a quote, that at the end too, backslashes are doubled (the rule of CommandLineToArgvW). cmd.exe knows no such
    thing and takes a quote as one, so what it acts on outside of quotes cannot stand beside it.
    """
    if any(ord(character) < 32 for character in word) or ('"' in word and re.search("[&|<>^]", word)):
        raise ConfigurationError(f"{word!r} cannot stand in a command line of Windows")
    within = re.sub(r'(\\*)"', r'\1\1\\"', word)
    return '"' + re.sub(r"(\\*)$", r"\1\1", within, count=1) + '"'


def _add(key: str, name: str, kind: str, data: str) -> str:
    named = f"/v {word(name)}" if name else "/ve"
    return f"reg.exe add {quoted(key)} {named} /t {kind} /d {quoted(data)} /f"
