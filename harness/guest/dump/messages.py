"""What drivers and Driver Verifier printed: the kernel's own buffer of DbgPrint, there also without a debugger.

KDDEBUGGER_DATA64 (wdbgexts.h) says where it is: "KDBG" @ 0x10, KdPrintCircularBuffer @ 0x1E0, its end @ 0x1E8, and the
addresses of the write pointer @ 0x1F0 and of the count of rollovers @ 0x1F8. Only what DbgPrint's filter masks let
through is in it; the provisioning of fltlab's images opens them.
"""

import struct

from harness.guest.dump.memory import Memory, Unreadable

LARGEST = 1 << 20
LINES = 60
_TAG = b"KDBG"
_SIZE = 0x200


def read_messages(memory: Memory, debugger_data: int, lines: int = LINES) -> tuple[str, ...]:
    """The last lines; none where the dump does not have the buffer, or what it has makes no sense as one."""
    try:
        data = memory.read(debugger_data, _SIZE)
        begin, end, write_at, rollovers_at = struct.unpack_from("<4Q", data, 0x1E0)
        if data[0x10:0x14] != _TAG or not 0 < end - begin <= LARGEST:
            return ()
        write = int.from_bytes(memory.read(write_at, 8), "little")
        rollovers = int.from_bytes(memory.read(rollovers_at, 4), "little")
        if not begin <= write <= end:
            return ()
        text = memory.read(begin, write - begin)
        if rollovers:
            text = memory.read(write, end - write) + text
    except Unreadable:
        return ()
    printed = text.replace(b"\0", b"").decode("utf-8", "replace").replace("\r", "").splitlines()
    return tuple(line for line in printed if line.strip())[-lines:]
