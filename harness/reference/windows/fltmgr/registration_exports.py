"""FltRegisterFilter, FltStartFiltering, FltUnregisterFilter, and how a registration is read."""

from typing import TYPE_CHECKING

from harness.nt import IRP_MJ_OPERATION_END, ContextType, IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, export
from harness.reference.windows.fltmgr.callback_data import (
    CONTEXT_REGISTRATION,
    OPERATION_REGISTRATION,
    RegistrationView,
)
from harness.reference.windows.fltmgr.filters import Callbacks, ContextDefinition, Filter, Registration
from harness.reference.windows.fltmgr.instance_definitions import default_altitude, has_instances
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

FLT_REGISTRATION_VERSIONS = (0x0200, 0x0201, 0x0202, 0x0203)
_WITH_NAME_EX = 0x0202
_MOST_ELEMENTS = 256
_NO_CALLBACKS_AT_ALL = frozenset({IrpMajor.POWER, IrpMajor.DEVICE_CHANGE})


@export(FLTMGR, "FltRegisterFilter", max_irql=Irql.APC)
def flt_register_filter(k: "Kernel", driver: int, registration: int, filter_out: int) -> Code:
    """FltRegisterFilter."""
    view = RegistrationView(k.memory, registration)
    owner = k.drivers.by_object(driver)
    name = owner.name if owner is not None else k.blame.current().driver or "unknown"
    if view.version not in FLT_REGISTRATION_VERSIONS:
        k.verifier.report("REG-14", name, f"registered with version {view.version:#06x}")
        return int(NtStatus.INVALID_PARAMETER)
    if any(callback and callback >> 47 == 0 for callback in (view.generate_name, view.normalize_name)):
        return int(NtStatus.INVALID_PARAMETER)  # the name provider callbacks are no kernel routines
    if k.flt.filter_named(name) is not None:
        return int(NtStatus.FLT_REGISTRATION_BUSY)
    if not has_instances(k.registry, name):
        k.registry.missed.append(f"an instance with an altitude below the key Instances of the service {name}")
        return int(NtStatus.OBJECT_NAME_NOT_FOUND)
    found = Filter(
        name,
        k.flt.allocate_object(f"the FLT_FILTER {name}"),
        driver,
        Registration(
            flags=view.flags,
            operations=_read_operations(k, name, view.operations),
            contexts=_read_contexts(k, view.contexts),
            unload=view.unload,
            setup=view.setup,
            query_teardown=view.query_teardown,
            teardown_start=view.teardown_start,
            teardown_complete=view.teardown_complete,
            generate_name=view.generate_name,
            normalize_name=view.normalize_name,
            normalize_cleanup=view.normalize_cleanup,
            normalize_name_ex=view.normalize_name_ex if view.version >= _WITH_NAME_EX else 0,
        ),
        (yield from k.flt.frames.frame_for(default_altitude(k.registry, name))),
    )
    k.flt.filters[found.address] = found
    k.memory.write_u64(filter_out, found.address)
    k.probes.happened((f"FltRegisterFilter {name}",))
    return int(NtStatus.SUCCESS)


def _read_operations(k: "Kernel", name: str, address: int) -> dict[int, Callbacks]:
    operations: dict[int, Callbacks] = {}
    for index in range(_MOST_ELEMENTS):
        if not address:
            return operations
        major, flags, pre, post, _ = OPERATION_REGISTRATION.unpack(
            k.memory.read(address + OPERATION_REGISTRATION.size * index, OPERATION_REGISTRATION.size)
        )
        if major == IRP_MJ_OPERATION_END:
            return operations
        if major in operations:
            k.verifier.report("REG-07", name, f"registered major function {major:#04x} twice")
        elif major in _NO_CALLBACKS_AT_ALL or (major == IrpMajor.SHUTDOWN and post):
            k.verifier.report("REG-12", name, f"registered callbacks for {IrpMajor(major).name} that are not allowed")
        elif pre or post:
            for callback in (pre, post):
                if callback and not k.blame.is_code(callback):
                    text = f"registered a callback of {IrpMajor(major).name} at {callback:#x}, where no code is"
                    k.verifier.report("REG-07", name, text)
            operations[major] = Callbacks(major, flags, pre, post)
    k.verifier.report("REG-07", name, "its operation registration has no IRP_MJ_OPERATION_END")
    return operations


def _read_contexts(k: "Kernel", address: int) -> tuple[ContextDefinition, ...]:
    contexts = []
    while address:
        kind, flags, cleanup, size, tag, allocate, free, _ = CONTEXT_REGISTRATION.unpack(
            k.memory.read(address, CONTEXT_REGISTRATION.size)
        )
        if kind == ContextType.END:
            break
        contexts.append(ContextDefinition(kind, flags, cleanup, size, tag, allocate, free))
        address += CONTEXT_REGISTRATION.size
    return tuple(contexts)


@export(FLTMGR, "FltStartFiltering", max_irql=Irql.APC)
def flt_start_filtering(k: "Kernel", filter_: int) -> Code:
    """FltStartFiltering."""
    status: int = yield from k.filter_services.start(k.flt.filter_at(filter_))
    return status


@export(FLTMGR, "FltUnregisterFilter", max_irql=Irql.APC)
def flt_unregister_filter(k: "Kernel", filter_: int) -> Code:
    """FltUnregisterFilter: tears down every instance, and waits for whatever still uses the filter (UNL-04)."""
    yield from k.filter_services.unregister(k.flt.filter_at(filter_))
