"""ZwRenameKey: another name of a key, in the place where it is."""

from struct import pack
from typing import TYPE_CHECKING, Any

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, export
from harness.reference.windows.ntos.cm.key_handles import key_changed, key_object, key_of
from harness.reference.windows.ntos.cm.key_watches import KeyChange
from harness.reference.windows.ntos.cm.registry_callbacks import RENAME_KEY

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_LONGEST = 255


@export(NTOSKRNL, "ZwRenameKey", max_irql=Irql.PASSIVE)
def zw_rename_key(k: "Kernel", handle: int, name_at: int) -> Any:
    """INVALID_PARAMETER for what is no name of one key, OBJECT_NAME_COLLISION for one that its parent has."""
    key = key_of(k, handle)
    if key is None:
        return int(NtStatus.INVALID_HANDLE)
    item = key_object(k, handle)

    def operation() -> int:
        name = k.memory.read_unicode_string(name_at)
        if not name or "\\" in name or len(name) > _LONGEST:
            return int(NtStatus.INVALID_PARAMETER)
        parent = k.registry.parent_of(key)
        if parent is None or parent is k.registry.root:
            return int(NtStatus.ACCESS_DENIED)
        if parent.key(name) not in (None, key):
            return int(NtStatus.OBJECT_NAME_COLLISION)
        del parent.keys[key.name.lower()]
        key.name = name
        parent.keys[name.lower()] = key
        key_changed(k, parent, KeyChange.NAME)
        return 0

    return k.registry_callbacks.around(RENAME_KEY, lambda: pack("<QQ", item, name_at), operation, lambda: item)
