"""Times as fields, and as seconds since 1970 and 1980. The model's time zone is UTC."""

from datetime import UTC, datetime, timedelta
from struct import pack, unpack
from typing import TYPE_CHECKING

from harness.reference.machine.loader.exports import KERNEL_AND_USER, NTOSKRNL, U32, export

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_SECOND, _DAY = 10_000_000, 24 * 3600
_TO_1970, _TO_1980 = 11_644_473_600, 11_960_006_400
"""Seconds since 1601."""
_FIELDS = "<8h"
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_TIME_ZONE_SIZE, _TIME_ZONE_NAMES = 172, (4, 88)


@export(KERNEL_AND_USER, "RtlTimeToTimeFields")
def rtl_time_to_time_fields(k: "Kernel", time: int, fields: int) -> int:
    value = k.memory.read_i64(time)
    days, rest = divmod(value // 10_000, _DAY * 1000)
    date = _EPOCH + timedelta(days=days)
    seconds, milliseconds = divmod(rest, 1000)
    minutes, hours = seconds // 60 % 60, seconds // 3600
    weekday = (date.weekday() + 1) % 7
    packed = (date.year, date.month, date.day, hours, minutes, seconds % 60, milliseconds, weekday)
    k.memory.write(fields, pack(_FIELDS, *packed))
    return 0


@export(KERNEL_AND_USER, "RtlTimeFieldsToTime")
def rtl_time_fields_to_time(k: "Kernel", fields: int, time: int) -> bool:
    """FALSE for fields that are no time after 1600."""
    year, month, day, hour, minute, second, millisecond, _ = unpack(_FIELDS, k.memory.read(fields, 16))
    if year < 1601 or not 0 <= millisecond < 1000:
        return False
    try:
        date = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return False
    seconds = (date - _EPOCH).days * _DAY + (date - _EPOCH).seconds
    k.memory.write_u64(time, seconds * _SECOND + millisecond * 10_000)
    return True


@export(NTOSKRNL, "RtlTimeToElapsedTimeFields")
def rtl_time_to_elapsed_time_fields(k: "Kernel", time: int, fields: int) -> int:
    """Days, hours, minutes, seconds and milliseconds of a span of time."""
    days, rest = divmod(k.memory.read_i64(time) // 10_000, _DAY * 1000)
    seconds, milliseconds = divmod(rest, 1000)
    packed = (0, 0, days & 0x7FFF, seconds // 3600, seconds // 60 % 60, seconds % 60, milliseconds, 0)
    k.memory.write(fields, pack(_FIELDS, *packed))
    return 0


def _from_seconds(k: "Kernel", seconds: int, time: int) -> int:
    k.memory.write_u64(time, seconds * _SECOND)
    return 0


def _to_seconds(k: "Kernel", time: int, seconds: int, since: int) -> bool:
    value = k.memory.read_i64(time) // _SECOND - since
    if not 0 <= value <= 0xFFFF_FFFF:
        return False
    k.memory.write_u32(seconds, value)
    return True


@export(NTOSKRNL, "RtlSecondsSince1970ToTime")
def rtl_seconds_since_1970_to_time(k: "Kernel", seconds: U32, time: int) -> int:
    return _from_seconds(k, seconds + _TO_1970, time)


@export(NTOSKRNL, "RtlSecondsSince1980ToTime")
def rtl_seconds_since_1980_to_time(k: "Kernel", seconds: U32, time: int) -> int:
    return _from_seconds(k, seconds + _TO_1980, time)


@export(NTOSKRNL, "RtlTimeToSecondsSince1970")
def rtl_time_to_seconds_since_1970(k: "Kernel", time: int, seconds: int) -> bool:
    return _to_seconds(k, time, seconds, _TO_1970)


@export(NTOSKRNL, "RtlTimeToSecondsSince1980")
def rtl_time_to_seconds_since_1980(k: "Kernel", time: int, seconds: int) -> bool:
    return _to_seconds(k, time, seconds, _TO_1980)


@export(NTOSKRNL, "RtlLocalTimeToSystemTime", "RtlSystemTimeToLocalTime")
def rtl_local_time_to_system_time(k: "Kernel", source: int, target: int) -> int:
    k.memory.write_u64(target, k.memory.read_u64(source))
    return 0


@export(NTOSKRNL, "RtlQueryTimeZoneInformation")
def rtl_query_time_zone_information(k: "Kernel", information: int) -> int:
    """RTL_TIME_ZONE_INFORMATION of UTC."""
    k.memory.write(information, bytes(_TIME_ZONE_SIZE))
    for offset in _TIME_ZONE_NAMES:
        k.memory.write(information + offset, "UTC".encode("utf-16-le"))
    return 0
