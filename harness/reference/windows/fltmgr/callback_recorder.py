"""What the kernel sees of the callbacks of minifilters that record none themselves: a black box has its lane, too."""

from struct import Struct
from typing import TYPE_CHECKING, Any

from harness.nt import IrpMajor, RegistrationFlags
from harness.reference.windows.fltmgr.callback_data import PARAMETER_BLOCK
from harness.wire.kernel_state import WatchedFilter
from harness.wire.trace import NOT_RETURNED, Callback, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harness.reference.windows.fltmgr.filter_objects import FilterObjects
    from harness.reference.windows.fltmgr.filters import Filter
    from harness.reference.windows.fltmgr.operation import Operation, Visit

LIMIT = 16384
"""How many callbacks of one program are kept."""
NAME_LENGTH = 32
_PARAMETERS = 24
_Field = tuple[str, int, Struct]
_U8, _U16, _U32, _U64 = Struct("<B"), Struct("<H"), Struct("<I"), Struct("<Q")
_HEAD: tuple[_Field, ...] = (
    ("irp_flags", 0, _U32),
    ("major", 4, _U8),
    ("minor", 5, _U8),
    ("operation_flags", 6, _U8),
    ("file_object", 8, _U64),
    ("target_instance", 16, _U64),
)
_TRANSFER: tuple[_Field, ...] = (
    ("length", 0, _U32),
    ("key", 8, _U32),
    ("offset", 16, _U64),
    ("buffer", 24, _U64),
    ("mdl", 32, _U64),
)
_CREATE: tuple[_Field, ...] = (
    ("security_context", 0, _U64),
    ("options", 8, _U32),
    ("attributes", 16, _U16),
    ("share_access", 18, _U16),
    ("ea_length", 24, _U32),
    ("ea_buffer", 32, _U64),
    ("allocation_size", 40, _U64),
)
_INFORMATION: tuple[_Field, ...] = (("length", 0, _U32), ("information_class", 8, _U32))
_CONTROL: tuple[_Field, ...] = (("output_length", 0, _U32), ("input_length", 8, _U32), ("control_code", 16, _U32))
_FILE_RANGE: tuple[_Field, ...] = (("offset", 0, _U64), ("length", 8, _U32))
_FIELDS: dict[int, tuple[_Field, ...]] = {
    IrpMajor.CREATE: _CREATE,
    IrpMajor.READ: _TRANSFER,
    IrpMajor.WRITE: _TRANSFER,
    IrpMajor.QUERY_INFORMATION: _INFORMATION,
    IrpMajor.SET_INFORMATION: _INFORMATION,
    IrpMajor.QUERY_VOLUME_INFORMATION: _INFORMATION,
    IrpMajor.SET_VOLUME_INFORMATION: _INFORMATION,
    IrpMajor.DIRECTORY_CONTROL: (("length", 0, _U32),),
    IrpMajor.LOCK_CONTROL: (("offset", 16, _U64),),
    IrpMajor.FILE_SYSTEM_CONTROL: _CONTROL,
    IrpMajor.DEVICE_CONTROL: _CONTROL,
    IrpMajor.INTERNAL_DEVICE_CONTROL: _CONTROL,
    IrpMajor.MDL_READ: _FILE_RANGE,
    IrpMajor.PREPARE_MDL_WRITE: _FILE_RANGE,
    IrpMajor.FAST_IO_CHECK_IF_POSSIBLE: _FILE_RANGE,
}
"""Fields of FLT_PARAMETERS that have a name in a trace; a change of any other is told by its offset."""


class CallbackRecorder:
    """Records the callbacks of the watched minifilters, one `Callback` each, in the order in which they are entered."""

    def __init__(self, objects: "FilterObjects") -> None:
        self._objects = objects
        self._kernel = objects.kernel
        self._watched: frozenset[str] = frozenset()
        self._records: list[dict[str, Any]] = []
        self._lost = 0
        self._open: dict[tuple[Visit, Phase], dict[str, Any]] = {}
        self._disconnects: list[Callable[[], None]] = []

    def watch(self, services: "Iterable[str]") -> None:
        """Record these minifilters from now on, beside those that are watched already."""
        self._watched |= {service.lower() for service in services}
        if self._watched and not self._disconnects:
            seen = self._objects.callbacks
            self._disconnects = [
                seen.entered.connect(self._entered),
                seen.returned.connect(self._returned),
                seen.resumed.connect(self._resumed),
                seen.lived.connect(self._lived),
            ]

    def watch_nobody(self) -> None:
        """Record nothing from now on."""
        self._watched = frozenset()
        while self._disconnects:
            self._disconnects.pop()()

    def begin(self) -> None:
        """Forget what was recorded."""
        self._records, self._lost = [], 0
        self._open.clear()

    @property
    def lost(self) -> int:
        """How many callbacks there were no room for."""
        return self._lost

    def recorded(self) -> "Iterator[Callback]":
        """What was recorded since `begin`."""
        return (Callback(**record) for record in self._records)

    def filters(self) -> tuple[WatchedFilter, ...]:
        """Those of the watched minifilters that are registered, with what for."""
        watched = (found for found in self._objects.filters.values() if found.name.lower() in self._watched)
        return tuple(
            WatchedFilter(
                found.name,
                tuple(found.registration.operations),
                bool(found.registration.flags & RegistrationFlags.SUPPORT_NPFS_MSFS),
            )
            for found in watched
        )

    # -- what the probes tell

    def _entered(self, operation: "Operation", visit: "Visit", phase: Phase, context: int, flags: int) -> None:
        record = self._of_operation(operation, visit, phase)
        if record is not None:
            post = phase is Phase.POST
            record.update(returned=NOT_RETURNED, completion_context=context, post_flags=flags)
            record.update(status=operation.status if post else 0, information=operation.information if post else 0)
            self._open[visit, phase] = record

    def _returned(self, operation: "Operation", visit: "Visit", phase: Phase, answer: int, context: int) -> None:
        record = self._open.pop((visit, phase), None)
        if record is None:
            return
        record.update(returned=answer, until=self._kernel.clock.nanoseconds)
        if (visit.overtaken and phase is Phase.PRE) or record["post_flags"]:
            return  # it has come back after the operation went on: what that holds now is not this callback's
        if phase is Phase.PRE:
            record["completion_context"] = context
        self._note_changes(record, operation, visit)

    def _resumed(self, operation: "Operation", visit: "Visit", phase: Phase, status: int, context: int) -> None:
        record = self._of_operation(operation, visit, phase)
        if record is not None:
            record.update(returned=status, completion_context=context)
            record.update(status=visit.status_before if phase is Phase.RESUME_POST else 0, information=0)
            self._note_changes(record, operation, visit)

    def _lived(self, found: "Filter", instance: int, phase: Phase, returned: int) -> None:
        if found.name.lower() in self._watched:
            self._add(found.name, phase, instance=instance, returned=returned)

    # -- records

    def _of_operation(self, operation: "Operation", visit: "Visit", phase: Phase) -> dict[str, Any] | None:
        found = visit.instance.filter
        if found.name.lower() not in self._watched:
            return None
        request, block = operation.request, operation.read_parameters()
        file = request.file
        return self._add(
            found.name,
            phase,
            callback_data=operation.data,
            instance=visit.instance.address,
            file_object=_U64.unpack_from(block, 8)[0],
            major=int(request.major),
            minor=request.minor,
            requestor_thread=request.thread.id,
            requestor_process=request.thread.process.id,
            requestor_mode=request.mode,
            operation_class=int(request.kind),
            operation_flags=block[6],
            flags=operation.view.flags,
            name=file.final_component[:NAME_LENGTH] if file is not None else "",
            **_range(int(request.major), block),
        )

    def _add(self, service: str, phase: Phase, **facts: Any) -> dict[str, Any] | None:
        if len(self._records) >= LIMIT:
            self._lost += 1
            return None
        kernel = self._kernel
        number = len(self._records) + 1
        record = {
            "id": number,
            "io": 0,
            "operation": 0,
            "filter": service,
            "phase": int(phase),
            "sequence": number,
            "performance_count": kernel.clock.now,
            "time_stamp": kernel.clock.nanoseconds,
            "thread": kernel.current.id,
            "process": kernel.current.process.id,
            "irql": kernel.irql,
            "source": "kernel",
            **facts,
        }
        self._records.append(record)
        return record

    def _note_changes(self, record: dict[str, Any], operation: "Operation", visit: "Visit") -> None:
        """What the filter has changed, with what it was; the record has what it left."""
        now = operation.read_parameters()
        changed = dict(_changes(int(operation.request.major), visit.parameters, now))
        status, information = operation.status, operation.information
        if status == operation.unset_status:
            status = 0
        if record["phase"] in (Phase.POST, Phase.RESUME_POST):
            if status != record["status"]:
                changed["status"] = record["status"]
            if record["phase"] == Phase.POST and information != record["information"]:
                changed["information"] = record["information"]
        record.update(status=status, information=information if status or changed else record["information"])
        record.update(_range(int(operation.request.major), now), changed=changed)


def _fields(major: int) -> tuple[_Field, ...]:
    return tuple((name, _PARAMETERS + at, layout) for name, at, layout in _FIELDS.get(major, ()))


def _range(major: int, block: bytes) -> dict[str, int]:
    """The members of a record that are read from a parameter block."""
    values = {name: layout.unpack_from(block, at)[0] for name, at, layout in _fields(major)}
    return {
        "irp_flags": _U32.unpack_from(block, 0)[0],
        "offset": values.get("offset", 0),
        "length": values.get("length", 0),
    }


def _changes(major: int, before: bytes, now: bytes) -> "Iterator[tuple[str, int]]":
    """The fields of a parameter block that are not what they were, with what that was."""
    if before == now:
        return
    told = bytearray(PARAMETER_BLOCK.size)
    for name, at, layout in (*_HEAD, *_fields(major)):
        told[at : at + layout.size] = b"\1" * layout.size
        was = layout.unpack_from(before, at)[0]
        if was != layout.unpack_from(now, at)[0]:
            yield name, was
    for at in range(_PARAMETERS, PARAMETER_BLOCK.size, 8):
        if not any(told[at : at + 8]) and before[at : at + 8] != now[at : at + 8]:
            yield f"parameters+0x{at - _PARAMETERS:02x}", _U64.unpack_from(before, at)[0]
