"""Oplock keys: opens with the same key do not break one another's oplocks. A key comes with a create, as an ECP."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.io.request import Request

OPLOCK_KEY = bytes.fromhex("960585485030e74b9863fec350ce8d7f")
"""GUID_ECP_OPLOCK_KEY {48850596-3050-4be7-9863-fec350ce8d7f}: OPLOCK_KEY_ECP_CONTEXT, a GUID."""
DUAL_OPLOCK_KEY = bytes.fromhex("141a62418bb0f14db676a05ffdf01bea")
"""GUID_ECP_DUAL_OPLOCK_KEY {41621a14-b08b-4df1-b676-a05ffdf01bea}: keys of parent and target, and which are set."""
_GUID = 16


def attach(io: "IoManager", request: "Request") -> None:
    """Give the file object of a create the keys that its extra create parameters have, if they have any."""
    file = request.file
    if file is None or not request.ecp_list:
        return
    dual = io.ecps.find(request.ecp_list, DUAL_OPLOCK_KEY)
    if dual is not None and len(dual) >= 2 * _GUID + 2:
        parent_set, target_set = dual[2 * _GUID : 2 * _GUID + 2]
        file.parent_oplock_key = dual[:_GUID] if parent_set else None
        file.oplock_key = dual[_GUID : 2 * _GUID] if target_set else None
        return
    single = io.ecps.find(request.ecp_list, OPLOCK_KEY)
    if single is not None and len(single) >= _GUID:
        file.oplock_key = single[:_GUID]


def key_of(file: "FileObject") -> object:
    """What an open is known by to oplocks: its key; without one it has none in common with any other."""
    return file.oplock_key if file.oplock_key is not None else file


def equal(first: "FileObject | None", second: "FileObject | None") -> bool:
    """FsRtlOplockKeysEqual: two opens with the same key, or one and the same open."""
    return first is not None and second is not None and key_of(first) == key_of(second)
