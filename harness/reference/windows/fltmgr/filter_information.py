"""What is told of filters, instances and volumes, by information class (fltUserStructures.h)."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.windows.fltmgr.filters import Filter, Instance

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_manager import FilterManager
    from harness.reference.windows.io.volumes import Volume

_FILTER_FULL = Struct("<IIIH")
_FILTER_BASIC = Struct("<IIIIHHHH")
_FILTER_STANDARD = Struct("<IIIIIHHHH")
_INSTANCE_FULL = Struct("<IHHHHHHHH")
_INSTANCE_AGGREGATE = Struct("<IIIIIHHHHHHHHI")
_VOLUME_BASIC = Struct("<H")
_VOLUME_STANDARD = Struct("<IIIIH")
_IS_MINIFILTER = 1


def _texts(at: int, *texts: str) -> tuple[list[int], bytes]:
    """Lengths and offsets of texts that follow a structure of `at` bytes, in turn, and the texts."""
    numbers: list[int] = []
    content = b""
    for text in texts:
        encoded = text.encode("utf-16-le")
        numbers += [len(encoded), at + len(content)]
        content += encoded
    return numbers, content


def filter_information(flt: "FilterManager", item: Filter, kind: int) -> bytes | None:
    """A structure of FILTER_INFORMATION_CLASS; None for a class that there is not."""
    if kind == 0:  # FilterFullInformation
        name = item.name.encode("utf-16-le")
        return _FILTER_FULL.pack(0, flt.frames.frames.index(item.frame), len(item.instances), len(name)) + name
    if kind not in (1, 2):
        return None
    altitude = item.instances[0].altitude_text if item.instances else ""
    facts = (flt.frames.frames.index(item.frame), len(item.instances))
    if kind == 1:  # FilterAggregateBasicInformation
        numbers, content = _texts(_FILTER_BASIC.size, item.name, altitude)
        return _FILTER_BASIC.pack(0, _IS_MINIFILTER, *facts, *numbers) + content
    numbers, content = _texts(_FILTER_STANDARD.size, item.name, altitude)  # FilterAggregateStandardInformation
    return _FILTER_STANDARD.pack(0, _IS_MINIFILTER, 0, *facts, *numbers) + content


def instance_information(flt: "FilterManager", item: Instance, kind: int) -> bytes | None:
    """A structure of INSTANCE_INFORMATION_CLASS; None for a class that there is not."""
    if kind == 0:  # InstanceBasicInformation
        numbers, content = _texts(8, item.name)
        return Struct("<IHH").pack(0, *numbers) + content
    if kind == 1:  # InstancePartialInformation
        numbers, content = _texts(12, item.name, item.altitude_text)
        return Struct("<IHHHH").pack(0, *numbers) + content
    if kind == 2:  # InstanceFullInformation
        texts = (item.name, item.altitude_text, item.volume.device_name, item.filter.name)
        numbers, content = _texts(_INSTANCE_FULL.size, *texts)
        return _INSTANCE_FULL.pack(0, *numbers) + content
    if kind == 3:  # InstanceAggregateStandardInformation
        texts = (item.name, item.altitude_text, item.volume.device_name, item.filter.name)
        numbers, content = _texts(_INSTANCE_AGGREGATE.size, *texts)
        frame = flt.frames.frames.index(item.frame)
        return _INSTANCE_AGGREGATE.pack(0, 1, 0, frame, item.on.type, *numbers, 0) + content
    return None


def volume_information(flt: "FilterManager", item: "Volume", kind: int) -> bytes | None:
    """A structure of FILTER_VOLUME_INFORMATION_CLASS; None for a class that there is not."""
    name = item.device_name.encode("utf-16-le")
    if kind == 0:  # FilterVolumeBasicInformation
        return _VOLUME_BASIC.pack(len(name)) + name
    if kind == 1:  # FilterVolumeStandardInformation
        frames = len(flt.on(item).devices)
        return _VOLUME_STANDARD.pack(0, 0, frames - 1, flt.on(item).type, len(name)) + name
    return None
