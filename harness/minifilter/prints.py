"""What drivers printed with DbgPrint while a guest ran, as one of our minifilters captured it (FLTLAB_PRINT, fltlab.h).

`FIELDS` is the layout; harness/minifilter/layout.py holds the C structure against it at build time.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

from harness.errors import GuestError
from harness.minifilter.events import Field
from harness.nt import DebugComponent, NtStatus, nt_success, status_name
from harness.text import safe_line
from harness.wire import trace as wire

PRINT_SIZE = 504
TEXT_OFFSET = 36

FIELDS: tuple[Field, ...] = (
    Field("TimeStampCounter", "time_stamp", 0, "Q"),
    Field("PerformanceCount", "performance_count", 8, "Q"),
    Field("ComponentId", "component", 16, "I"),
    Field("Level", "level", 20, "I"),
    Field("ThreadId", "thread", 24, "I"),
    Field("ProcessId", "process", 28, "I"),
    Field("Length", "length", 32, "H"),
    Field("FullLength", "full_length", 34, "H"),
)
_STRUCT = struct.Struct("<" + "".join(field.code for field in FIELDS))

LEVELS = ("ERROR", "WARNING", "TRACE", "INFO")
"""DPFLTR_*_LEVEL."""
_OF_DBG_PRINT = frozenset({(int(DebugComponent.DEFAULT), 3), (0xFFFFFFFF, 0)})
"""What a plain DbgPrint comes as: documented is DEFAULT, INFO; older kernels have a component of their own for it."""


@dataclass(frozen=True)
class Print:
    """One call of DbgPrint or its family. Times are as in events; `full_length` counts the bytes that were printed."""

    time_stamp: int
    performance_count: int
    component: int
    level: int
    thread: int
    process: int
    full_length: int
    text: str

    @property
    def source(self) -> str:
        """Component and level where they are not those of DbgPrint, e.g. "FLTMGR WARNING"."""
        if (self.component, self.level) in _OF_DBG_PRINT:
            return ""
        known = self.component in DebugComponent.__members__.values()
        component = DebugComponent(self.component).name if known else f"component {self.component}"
        return f"{component} {LEVELS[self.level] if self.level < len(LEVELS) else f'level 0x{self.level:X}'}"

    @property
    def line(self) -> str:
        """The text on one line, its line end cut off."""
        shown = safe_line(self.text.rstrip("\r\n\0"))
        cut = f" … (cut, {self.full_length} bytes)" if self.full_length > len(self.text) else ""
        return shown + cut


@dataclass(frozen=True)
class PrintReport:
    """What the capturing minifilter told: the prints, how many more there were, and whether it could capture at all."""

    prints: tuple[Print, ...] = ()
    lost: int = 0
    status: int = int(NtStatus.SUCCESS)


@dataclass(frozen=True)
class Prints:
    """The prints of one I/O script: `before` since the stack was loaded, `during` since the test's own first step."""

    before: tuple[Print, ...] = ()
    during: tuple[Print, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """What is missing, and why."""

    def __bool__(self) -> bool:
        return bool(self.before or self.during or self.notes)


def decode_print(label: str, record: bytes) -> Print:
    """Decode one FLTLAB_PRINT, without what is unused of its text; GuestError if the record is not one."""
    values = (
        dict(zip((item.name for item in FIELDS), _STRUCT.unpack_from(record), strict=True))
        if (len(record) >= TEXT_OFFSET)
        else {}
    )
    text = record[TEXT_OFFSET:]
    if len(record) > PRINT_SIZE or values.pop("length", None) != len(text):
        raise GuestError(f"what {label} captured of DbgPrint has a wrong length", details=(record[:80].hex(),))
    return Print(text=text.decode("latin-1"), **values)


def decode_prints(label: str, records: Sequence[str]) -> tuple[Print, ...]:
    """Decode what fltprobe reports: records in hex, in the order in which they were printed."""
    try:
        return tuple(decode_print(label, bytes.fromhex(record)) for record in records)
    except ValueError as error:
        raise GuestError(f"what {label} captured of DbgPrint is not hexadecimal", details=(str(error),)) from error


def print_report(told: Iterable[wire.Print], lost: int) -> PrintReport:
    """What a kernel told of prints."""
    names = [item.name for item in fields(Print)]
    return PrintReport(tuple(Print(**{name: getattr(item, name) for name in names}) for item in told), lost)


def gather(reports: Iterable[tuple[str, PrintReport]], since: int) -> Prints:
    """The prints of all reports, by label; `since` is the performance count at which the test's own I/O began."""
    prints: list[Print] = []
    notes: list[str] = []
    for label, report in reports:
        prints += report.prints
        if report.lost:
            notes.append(f"{report.lost} more prints were lost: the ring of {label} was full")
        if not nt_success(report.status):
            notes.append(f"{label} cannot capture DbgPrint: {status_name(report.status)}")
    prints.sort(key=lambda item: item.time_stamp)
    return Prints(
        before=tuple(item for item in prints if item.performance_count < since),
        during=tuple(item for item in prints if item.performance_count >= since),
        notes=tuple(notes),
    )
