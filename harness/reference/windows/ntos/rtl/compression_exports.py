"""RtlCompressBuffer and its kin: LZNT1; the other formats are refused as on a system that has not got them."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U16, U32, export
from harness.reference.windows.ntos.rtl.lznt1 import BadCompressionError, compress, decompress

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_NONE, _DEFAULT, _LZNT1 = 0, 1, 2
"""COMPRESSION_FORMAT_*."""
_ENGINES = frozenset({0x0000, 0x0100})
"""COMPRESSION_ENGINE_STANDARD and _MAXIMUM."""
_WORKSPACE, _FRAGMENT_WORKSPACE = 0x8010, 0x1000
_MOST = 1 << 30


def _refusal(format_and_engine: int, *, engine: bool = False) -> int:
    kind = format_and_engine & 0xFF
    if kind in (_NONE, _DEFAULT):
        return int(NtStatus.INVALID_PARAMETER)
    if kind != _LZNT1:
        return int(NtStatus.UNSUPPORTED_COMPRESSION)
    return int(NtStatus.NOT_SUPPORTED) if engine and format_and_engine & 0xFF00 not in _ENGINES else 0


@export(NTOSKRNL, "RtlGetCompressionWorkSpaceSize", max_irql=Irql.APC)
def rtl_get_compression_work_space_size(k: "Kernel", format_and_engine: U16, whole: int, fragment: int) -> int:
    """RtlGetCompressionWorkSpaceSize: in bytes."""
    refused = _refusal(format_and_engine, engine=True)
    if not refused:
        k.memory.write_u32(whole, _WORKSPACE)
        k.memory.write_u32(fragment, _FRAGMENT_WORKSPACE)
    return refused


@export(NTOSKRNL, "RtlCompressBuffer", max_irql=Irql.APC)
def rtl_compress_buffer(
    k: "Kernel",
    format_and_engine: U16,
    source: int,
    size: U32,
    target: int,
    room: U32,
    chunk: U32,
    final: int,
    workspace: int,
) -> int:
    """RtlCompressBuffer: BUFFER_ALL_ZEROS, a success, where there is nothing else in it."""
    del chunk
    refused = _refusal(format_and_engine, engine=True)
    if refused:
        return refused
    k.memory.write(workspace, bytes(_WORKSPACE))
    data = k.memory.read(source, size)
    packed = compress(data)
    if len(packed) > room:
        return int(NtStatus.BUFFER_TOO_SMALL)
    k.memory.write(target, packed)
    k.memory.write_u32(final, len(packed))
    return int(NtStatus.SUCCESS if any(data) else NtStatus.BUFFER_ALL_ZEROS)


@export(NTOSKRNL, "RtlDecompressBuffer", max_irql=Irql.APC)
def rtl_decompress_buffer(k: "Kernel", kind: U16, target: int, room: U32, source: int, size: U32, final: int) -> int:
    """RtlDecompressBuffer: as much as there is room for."""
    return _decompress(k, kind, (target, room), (source, size), final, 0)


@export(NTOSKRNL, "RtlDecompressBufferEx", max_irql=Irql.APC)
def rtl_decompress_buffer_ex(
    k: "Kernel", kind: U16, target: int, room: U32, source: int, size: U32, final: int, workspace: int
) -> int:
    """RtlDecompressBufferEx: LZNT1 needs no work space for this."""
    del workspace
    return _decompress(k, kind, (target, room), (source, size), final, 0)


@export(NTOSKRNL, "RtlDecompressFragment", max_irql=Irql.APC)
def rtl_decompress_fragment(
    k: "Kernel", kind: U16, target: int, room: U32, source: int, size: U32, offset: U32, final: int, workspace: int
) -> int:
    """RtlDecompressFragment: from an offset of what was compressed on."""
    k.memory.write(workspace, bytes(_FRAGMENT_WORKSPACE))
    return _decompress(k, kind, (target, room), (source, size), final, offset)


def _decompress(
    k: "Kernel", kind: int, target: tuple[int, int], source: tuple[int, int], final: int, offset: int
) -> int:
    refused = _refusal(kind)
    if refused:
        return refused
    try:
        data = decompress(k.memory.read(*source), min(offset + target[1], _MOST))[offset:]
    except BadCompressionError:
        return int(NtStatus.BAD_COMPRESSION_BUFFER)
    k.memory.write(target[0], data)
    k.memory.write_u32(final, len(data))
    return int(NtStatus.SUCCESS)
