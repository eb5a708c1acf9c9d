"""The exports of the tunnel cache."""

from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.windows.fsrtl.tunnel_cache import Tunnelled

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(NTOSKRNL, "FsRtlInitializeTunnelCache", max_irql=Irql.APC)
def fs_rtl_initialize_tunnel_cache(k: "Kernel", cache: int) -> None:
    k.tunnels.make(cache)


@export(NTOSKRNL, "FsRtlDeleteTunnelCache", max_irql=Irql.APC)
def fs_rtl_delete_tunnel_cache(k: "Kernel", cache: int) -> None:
    k.tunnels.remove(cache)


@export(NTOSKRNL, "FsRtlAddToTunnelCache", max_irql=Irql.APC)
def fs_rtl_add_to_tunnel_cache(
    k: "Kernel", cache: int, directory: int, short: int, long: int, by_short: bool, length: U32, data: int
) -> None:
    """A name is removed: of both, `by_short` says which whoever makes it again will use."""
    names = k.memory.read_unicode_string(short), k.memory.read_unicode_string(long)
    entry = Tunnelled(directory, *names, by_short, k.memory.read(data, length), k.now)
    k.tunnels.at(cache).add(entry)


@export(NTOSKRNL, "FsRtlFindInTunnelCache", max_irql=Irql.APC)
def fs_rtl_find_in_tunnel_cache(
    k: "Kernel", cache: int, directory: int, name: int, short: int, long: int, length_at: int, data: int
) -> bool:
    """Names and data are given back; a long name that has no room gets a buffer from pool, which the caller frees."""
    found = k.tunnels.at(cache).take(directory, k.memory.read_unicode_string(name), k.now)
    if found is None:
        return False
    _give(k, short, found.short)
    _give(k, long, found.long)
    room = k.memory.read_u32(length_at)
    k.memory.write(data, found.data[:room])
    k.memory.write_u32(length_at, min(room, len(found.data)))
    return True


def _give(k: "Kernel", string: int, text: str) -> None:
    encoded = text.encode("utf-16-le", "surrogatepass")
    room, buffer = k.memory.read_u16(string + 2), k.memory.read_u64(string + 8)
    if room < len(encoded):
        where = k.blame.current()
        room = len(encoded)
        buffer = k.pool.allocate(room, "TunP", paged=True, owner=where.driver, allocated_by=where.address)
    if encoded:
        k.memory.write(buffer, encoded)
    k.memory.write_unicode_string(string, buffer, len(encoded), room)


@export(NTOSKRNL, "FsRtlDeleteKeyFromTunnelCache", max_irql=Irql.APC)
def fs_rtl_delete_key_from_tunnel_cache(k: "Kernel", cache: int, directory: int) -> None:
    k.tunnels.at(cache).forget(directory)
