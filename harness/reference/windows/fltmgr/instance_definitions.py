"""The instances that a minifilter's service key defines: their names, altitudes and flags."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.reference.windows.fltmgr.altitude import Altitude

if TYPE_CHECKING:
    from harness.reference.windows.ntos.cm.registry import Key, Registry

NO_AUTOMATIC_ATTACHMENT, NO_MANUAL_ATTACHMENT = 0x1, 0x2
"""Flags of an instance's registry key."""


@dataclass(frozen=True, slots=True)
class Definition:
    """An instance as the service's registry key defines it."""

    name: str
    altitude: str
    flags: int


def definitions(registry: "Registry", service: str) -> list[Definition]:
    """The instances of a service key, the default one first; both layouts are known."""
    key = registry.find(f"{registry.SERVICES}\\{service}")
    if key is None:
        return []
    for parent in (key.key("Parameters"), key):
        instances = parent.key("Instances") if parent is not None else None
        if instances is not None and instances.keys:
            default = _text(instances, "DefaultInstance").lower()
            listed = [
                Definition(item.name, _text(item, "Altitude"), _number(item, "Flags"))
                for item in instances.keys.values()
            ]
            return sorted(listed, key=lambda item: item.name.lower() != default)
    return []


def default_altitude(registry: "Registry", service: str) -> Altitude:
    """The altitude of a service's first instance, 0 without one: what its frame is chosen by."""
    for item in definitions(registry, service):
        try:
            return Altitude.parse(item.altitude)
        except ValueError:
            break
    return Altitude.parse("0")


def has_instances(registry: "Registry", name: str) -> bool:
    """Whether a service key has an `Instances` key, in either layout; FltRegisterFilter fails without one."""
    service = registry.find(f"{registry.SERVICES}\\{name}")
    if service is None:
        return False
    parents = (service.key("Parameters"), service)
    return any(parent is not None and parent.key("Instances") is not None for parent in parents)


def _text(key: "Key", name: str) -> str:
    value = key.value(name)
    return value.data.decode("utf-16-le").rstrip("\0") if value is not None else ""


def _number(key: "Key", name: str) -> int:
    value = key.value(name)
    return int.from_bytes(value.data[:4], "little") if value is not None else 0
