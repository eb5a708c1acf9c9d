"""FLT_PARAMETERS by major function: packing of what the I/O manager sends, unpacking of what reaches the file system.

Offsets as in drivers/include/fltparameters.h; every layout is 48 bytes or less.
"""

from struct import Struct
from typing import NamedTuple

CREATE = Struct("<QI4xHH4xI4xQq")
TRANSFER = Struct("<I4xI4xqQQ")
INFORMATION = Struct("<I4xI4xQ")
SET_INFORMATION = Struct("<I4xI4xQQQ")
DIRECTORY = Struct("<I4xQI4xI4xQQ")
NOTIFY = Struct("<I4xI4xI4xI4xQQ")
CONTROL = Struct("<I4xI4xI4xQQQ")
LOCK = Struct("<QI4xqQBB")
QUERY_SECURITY = Struct("<I4xI4xQQ")
SET_SECURITY = Struct("<I4xQ")
QUERY_EA = Struct("<I4xQI4xI4xQQ")
SET_EA = Struct("<I4xQQ")
QUERY_QUOTA = Struct("<I4xQQI4xQQ")
SET_QUOTA = Struct("<I4xQQ")
SECTION = Struct("<IIQII")
MOD_WRITE = Struct("<QQ")
RELEASE = Struct("<Q")
QUERY_OPEN = Struct("<QQQI")
NETWORK_QUERY_OPEN = Struct("<QQ")
CHECK_IF_POSSIBLE = Struct("<qI4xI4xB")


class Transfer(NamedTuple):
    """Read and Write."""

    length: int
    key: int
    offset: int
    buffer: int
    mdl: int

    @classmethod
    def unpack(cls, data: bytes) -> "Transfer":
        return cls(*TRANSFER.unpack_from(data))

    def pack(self) -> bytes:
        return TRANSFER.pack(self.length, self.key, self.offset, self.buffer, self.mdl)


class Create(NamedTuple):
    """Create."""

    security_context: int
    options: int
    attributes: int
    share: int
    ea_length: int
    ea_buffer: int
    allocation: int

    @classmethod
    def unpack(cls, data: bytes) -> "Create":
        return cls(*CREATE.unpack_from(data))

    def pack(self) -> bytes:
        return CREATE.pack(*self)


class Control(NamedTuple):
    """FileSystemControl and DeviceIoControl; the last three differ by method."""

    output_length: int
    input_length: int
    code: int
    first: int
    second: int
    mdl: int

    @classmethod
    def unpack(cls, data: bytes) -> "Control":
        return cls(*CONTROL.unpack_from(data))

    def pack(self) -> bytes:
        return CONTROL.pack(*self)
