"""What the I/O manager checks of an information class before any driver is asked, and what it answers itself.

Lengths are the sizes of the structures, rights those that a handle must have: the tables IopQueryOperationLength,
IopQueryOperationAccess and their kin for setting, as the documentation of each class gives them.
"""

from dataclasses import dataclass

from harness.nt import NtStatus
from harness.reference.windows.io.constants import FileInformationClass as Class
from harness.reference.windows.io.constants import FsInformationClass
from harness.reference.windows.ntos.status_error import StatusError

_READ_ATTRIBUTES, _WRITE_ATTRIBUTES, _WRITE_DATA, _DELETE = 0x80, 0x100, 0x2, 0x1_0000


@dataclass(frozen=True, slots=True)
class Rule:
    """Least length of the buffer, and the right that the handle must have (0 for none)."""

    length: int
    access: int = 0


_QUERY: dict[int, Rule] = {
    Class.BASIC: Rule(40, _READ_ATTRIBUTES),
    Class.STANDARD: Rule(24),
    Class.INTERNAL: Rule(8),
    Class.EA: Rule(4),
    Class.ACCESS: Rule(4),
    Class.NAME: Rule(8),
    Class.POSITION: Rule(8),
    Class.MODE: Rule(4),
    Class.ALIGNMENT: Rule(4),
    Class.ALL: Rule(104, _READ_ATTRIBUTES),
    Class.ALTERNATE_NAME: Rule(8),
    Class.STREAM: Rule(32),
    Class.COMPRESSION: Rule(16),
    Class.NETWORK_OPEN: Rule(56, _READ_ATTRIBUTES),
    Class.ATTRIBUTE_TAG: Rule(8, _READ_ATTRIBUTES),
    Class.HARD_LINK: Rule(32),
    Class.NORMALIZED_NAME: Rule(8),
    Class.IS_REMOTE_DEVICE: Rule(1),
    Class.STANDARD_LINK: Rule(12),
    Class.REMOTE_PROTOCOL: Rule(116),
    Class.VOLUME_NAME: Rule(8),
    Class.ID: Rule(24),
    Class.STAT: Rule(72, _READ_ATTRIBUTES),
    Class.STAT_LX: Rule(96, _READ_ATTRIBUTES),
    Class.CASE_SENSITIVE: Rule(4, _READ_ATTRIBUTES),
}
_SET: dict[int, Rule] = {
    Class.BASIC: Rule(40, _WRITE_ATTRIBUTES),
    Class.RENAME: Rule(24, _DELETE),
    Class.LINK: Rule(24),
    Class.DISPOSITION: Rule(1, _DELETE),
    Class.POSITION: Rule(8),
    Class.MODE: Rule(4),
    Class.ALLOCATION: Rule(8, _WRITE_DATA),
    Class.END_OF_FILE: Rule(8, _WRITE_DATA),
    Class.VALID_DATA_LENGTH: Rule(8, _WRITE_DATA),
    Class.SHORT_NAME: Rule(8, _DELETE),
    Class.DISPOSITION_EX: Rule(4, _DELETE),
    Class.RENAME_EX: Rule(24, _DELETE),
    Class.CASE_SENSITIVE: Rule(4, _WRITE_ATTRIBUTES),
    Class.LINK_EX: Rule(24),
}
_QUERY_VOLUME: dict[int, Rule] = {
    FsInformationClass.VOLUME: Rule(24),
    FsInformationClass.SIZE: Rule(24),
    FsInformationClass.DEVICE: Rule(8),
    FsInformationClass.ATTRIBUTE: Rule(16),
    FsInformationClass.CONTROL: Rule(48, 0x1),
    FsInformationClass.FULL_SIZE: Rule(32),
    FsInformationClass.OBJECT_ID: Rule(64),
    FsInformationClass.DRIVER_PATH: Rule(12),
    FsInformationClass.VOLUME_FLAGS: Rule(4),
    FsInformationClass.SECTOR_SIZE: Rule(28),
}
_SET_VOLUME: dict[int, Rule] = {
    FsInformationClass.LABEL: Rule(8, _WRITE_DATA),
    FsInformationClass.CONTROL: Rule(48, _WRITE_DATA),
    FsInformationClass.OBJECT_ID: Rule(64, _WRITE_DATA),
}


def _check(table: dict[int, Rule], kind: int, length: int) -> int:
    rule = table.get(kind)
    if rule is None:
        raise StatusError(NtStatus.INVALID_INFO_CLASS)
    if length < rule.length:
        raise StatusError(NtStatus.INFO_LENGTH_MISMATCH)
    return rule.access


def check_query(kind: int, length: int) -> int:
    """The right that a query needs. INVALID_INFO_CLASS or INFO_LENGTH_MISMATCH where it cannot be."""
    return _check(_QUERY, kind, length)


def check_set(kind: int, length: int) -> int:
    """The right that a setting needs."""
    return _check(_SET, kind, length)


def check_query_volume(kind: int, length: int) -> int:
    """The right that a query of the volume needs."""
    return _check(_QUERY_VOLUME, kind, length)


def check_set_volume(kind: int, length: int) -> int:
    """The right that a setting of the volume needs."""
    return _check(_SET_VOLUME, kind, length)
