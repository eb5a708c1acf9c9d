"""The registry on its way between the guest daemon, which keeps it, and the kernel, whose drivers read and write it."""

from harness.reference.windows.ntos.cm.registry import Key, ValueType
from harness.wire.codec import MalformedMessageError
from harness.wire.kernel import RegistryKey, RegistryValue


def take(key: Key, told: RegistryKey) -> None:
    """Make a key what the message says. Keys that stay are the same objects: drivers may have them open."""
    key.values.clear()
    for value in told.values:
        if value.type not in ValueType.__members__:
            raise MalformedMessageError(f"the registry value {value.name!r} has no type of a registry: {value.type!r}")
        key.set(value.name, ValueType[value.type], value.data)
    names = {child.name.lower() for child in told.keys}
    for name in [name for name in key.keys if name not in names]:
        del key.keys[name]
    for child in told.keys:
        take(key.make(child.name), child)


def tell(key: Key) -> RegistryKey:
    """A key as a message."""
    values = tuple(RegistryValue(item.name, item.type.name, item.data) for item in key.values.values())
    return RegistryKey(key.name, values, tuple(tell(child) for child in key.keys.values()))
