"""fltlib.dll: which filters, instances and volumes there are, and what is told of them. The answers are HRESULTs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import U32
from harness.reference.windows.fltmgr.attachment import find_instance
from harness.reference.windows.fltmgr.filter_information import (
    filter_information,
    instance_information,
    volume_information,
)
from harness.reference.windows.io.io_manager import PORT_TYPE
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.user.filter_calls import filter_call

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

Describe = Callable[[int], bytes | None]
"""One thing as the structure of an information class; None for a class that there is not."""


@dataclass
class _Find:
    """A search, or one thing that is open: what it has found, as it is asked."""

    everything: Callable[[], Sequence[Describe]]
    next: int = 0


def _open(k: "Kernel", find: _Find, handle_out: int) -> None:
    k.memory.write_u64(handle_out, k.objects.open(Object(PORT_TYPE, find, references=0), kernel=False, access=1))


def _tell(k: "Kernel", find: _Find, kind: int, out: int, room: int, returned: int) -> NtStatus:
    """Tell of the next thing that a search finds, if there is room for it; the search goes on only then."""
    everything = find.everything()
    if find.next >= len(everything):
        return NtStatus.NO_MORE_ENTRIES
    content = everything[find.next](kind)
    if content is None:
        return NtStatus.INVALID_PARAMETER
    k.memory.write_u32(returned, len(content))
    if room < len(content):
        return NtStatus.BUFFER_TOO_SMALL
    k.memory.write(out, content)
    find.next += 1
    return NtStatus.SUCCESS


def _first(k: "Kernel", find: _Find, kind: int, out: int, room: int, returned: int, handle_out: int) -> int:
    status = _tell(k, find, kind, out, room, returned)
    if status is NtStatus.SUCCESS:
        _open(k, find, handle_out)
    return int(status)


def _find_at(k: "Kernel", handle: int) -> _Find | None:
    found = k.objects.lookup(handle)
    body = found.object.body if found is not None else None
    return body if isinstance(body, _Find) else None


@filter_call("FilterFindFirst")
def filter_find_first(k: "Kernel", kind: U32, out: int, room: U32, returned: int, handle_out: int) -> Code:
    """FilterFindFirst."""
    yield from ()

    def everything() -> list[Describe]:
        return [partial(filter_information, k.flt, item) for item in k.flt.filters.values()]

    return _first(k, _Find(everything), kind, out, room, returned, handle_out)


@filter_call("FilterVolumeFindFirst")
def filter_volume_find_first(k: "Kernel", kind: U32, out: int, room: U32, returned: int, handle_out: int) -> Code:
    """FilterVolumeFindFirst: volumes that are mounted."""
    yield from ()

    def everything() -> list[Describe]:
        mounted = [volume for volume in k.io.volumes if volume.device]
        return [partial(volume_information, k.flt, item) for item in mounted]

    return _first(k, _Find(everything), kind, out, room, returned, handle_out)


@filter_call("FilterInstanceFindFirst")
def filter_instance_find_first(
    k: "Kernel", name: int, kind: U32, out: int, room: U32, returned: int, handle_out: int
) -> Code:
    """FilterInstanceFindFirst: the instances of a minifilter."""
    yield from ()
    found = k.flt.filter_named(k.memory.read_wide(name))
    if found is None:
        return int(NtStatus.FLT_FILTER_NOT_FOUND)

    def everything() -> list[Describe]:
        return [partial(instance_information, k.flt, item) for item in found.instances]

    return _first(k, _Find(everything), kind, out, room, returned, handle_out)


@filter_call("FilterVolumeInstanceFindFirst")
def filter_volume_instance_find_first(
    k: "Kernel", name: int, kind: U32, out: int, room: U32, returned: int, handle_out: int
) -> Code:
    """FilterVolumeInstanceFindFirst: the instances on a volume, the highest first."""
    yield from ()
    volume = k.io.volume_named(k.memory.read_wide(name))
    if volume is None:
        return int(NtStatus.FLT_VOLUME_NOT_FOUND)

    def everything() -> list[Describe]:
        return [partial(instance_information, k.flt, item) for item in k.flt.on(volume).instances]

    return _first(k, _Find(everything), kind, out, room, returned, handle_out)


def _next(k: "Kernel", handle: int, kind: U32, out: int, room: U32, returned: int) -> Code:
    """FilterFindNext and its like."""
    yield from ()
    find = _find_at(k, handle)
    return int(NtStatus.INVALID_HANDLE) if find is None else int(_tell(k, find, kind, out, room, returned))


def _close(k: "Kernel", handle: int) -> Code:
    """FilterFindClose, FilterClose and their like."""
    if _find_at(k, handle) is None:
        return int(NtStatus.INVALID_HANDLE)
    yield from k.objects.close_handle(handle)
    return int(NtStatus.SUCCESS)


for _name in ("FilterFindNext", "FilterVolumeFindNext", "FilterInstanceFindNext", "FilterVolumeInstanceFindNext"):
    filter_call(_name)(_next)
for _name in (
    *("FilterFindClose", "FilterVolumeFindClose", "FilterInstanceFindClose", "FilterVolumeInstanceFindClose"),
    *("FilterClose", "FilterInstanceClose", "FilterVolumeClose"),
):
    filter_call(_name)(_close)


# -- one filter, one instance


@filter_call("FilterCreate")
def filter_create(k: "Kernel", name: int, handle_out: int) -> Code:
    """FilterCreate: a handle to a minifilter that is loaded."""
    yield from ()
    found = k.flt.filter_named(k.memory.read_wide(name))
    if found is None:
        return int(NtStatus.FLT_FILTER_NOT_FOUND)
    _open(k, _Find(lambda: [partial(filter_information, k.flt, found)]), handle_out)
    return int(NtStatus.SUCCESS)


@filter_call("FilterInstanceCreate")
def filter_instance_create(k: "Kernel", name: int, volume_name: int, instance: int, handle_out: int) -> Code:
    """FilterInstanceCreate: a handle to an instance, the default one where it has no name."""
    yield from ()
    found = k.flt.filter_named(k.memory.read_wide(name))
    volume = k.io.volume_named(k.memory.read_wide(volume_name))
    if found is None or volume is None:
        return int(NtStatus.FLT_FILTER_NOT_FOUND if found is None else NtStatus.FLT_VOLUME_NOT_FOUND)
    item = find_instance(found, volume, k.memory.read_wide(instance) if instance else None)
    if item is None:
        return int(NtStatus.FLT_INSTANCE_NOT_FOUND)
    _open(k, _Find(lambda: [partial(instance_information, k.flt, item)]), handle_out)
    return int(NtStatus.SUCCESS)


def _get(k: "Kernel", handle: int, kind: U32, out: int, room: U32, returned: int) -> Code:
    """FilterGetInformation and FilterInstanceGetInformation."""
    yield from ()
    find = _find_at(k, handle)
    if find is None:
        return int(NtStatus.INVALID_HANDLE)
    find.next = 0
    return int(_tell(k, find, kind, out, room, returned))


for _name in ("FilterGetInformation", "FilterInstanceGetInformation"):
    filter_call(_name)(_get)


@filter_call("FilterGetDosName")
def filter_get_dos_name(k: "Kernel", name: int, out: int, room: U32) -> Code:
    """FilterGetDosName: the drive of a volume; `room` is in characters."""
    yield from ()
    volume = k.io.volume_named(k.memory.read_wide(name))
    if volume is None or not volume.dos_name:
        return int(NtStatus.FLT_VOLUME_NOT_FOUND)
    if room <= len(volume.dos_name):
        return int(NtStatus.BUFFER_TOO_SMALL)
    k.memory.write(out, (volume.dos_name + "\0").encode("utf-16-le"))
    return int(NtStatus.SUCCESS)
