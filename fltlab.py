"""What a suite of tests imports from fltlab.

    from fltlab import IrpMajor, Lab, NtStatus, Volume

The words of the Windows kernel, the steps of I/O scripts as functions (`step`), and the types of the fixtures `lab`,
`volume` and `guest`, so that an editor and mypy know them. Everything else is in the package `harness`, which may
change from one version to the next.

PYTEST_DONT_REWRITE: `fltlab run` may import this before pytest does, which pytest would warn of.
"""

from typing import TYPE_CHECKING, Any

from harness.nt import (
    BugCheck,
    CallbackDataFlags,
    ContextType,
    FilterUnloadFlags,
    InstanceSetupFlags,
    InstanceTeardownFlags,
    IrpMajor,
    Irql,
    NtStatus,
    OperationClass,
    OperationRegistrationFlags,
    PostOperationFlags,
    PostopStatus,
    PreopStatus,
    RegistrationFlags,
    nt_success,
)

if TYPE_CHECKING:
    from harness.fleet.filters import FilterHandle
    from harness.fleet.lab import Lab
    from harness.fleet.volume import Volume
    from harness.guest import Guest
    from harness.minifilter import steps as step
    from harness.minifilter.events import ContextCall, Phase
    from harness.minifilter.listing import DirectoryEntry
    from harness.minifilter.probe import ProbeResult, Step
    from harness.minifilter.steps import ScriptStep
    from harness.minifilter.trace import Operation, Trace

__all__ = [
    "BugCheck",
    "CallbackDataFlags",
    "ContextCall",
    "ContextType",
    "DirectoryEntry",
    "FilterHandle",
    "FilterUnloadFlags",
    "Guest",
    "InstanceSetupFlags",
    "InstanceTeardownFlags",
    "IrpMajor",
    "Irql",
    "Lab",
    "NtStatus",
    "Operation",
    "OperationClass",
    "OperationRegistrationFlags",
    "Phase",
    "PostOperationFlags",
    "PostopStatus",
    "PreopStatus",
    "ProbeResult",
    "RegistrationFlags",
    "ScriptStep",
    "Step",
    "Trace",
    "Volume",
    "nt_success",
    "step",
]

# Their modules are heavier than the words above: they are imported when somebody asks for them.
_LATER = {
    "ContextCall": "harness.minifilter.events",
    "DirectoryEntry": "harness.minifilter.listing",
    "FilterHandle": "harness.fleet.filters",
    "Guest": "harness.guest",
    "Lab": "harness.fleet.lab",
    "Operation": "harness.minifilter.trace",
    "Phase": "harness.minifilter.events",
    "ProbeResult": "harness.minifilter.probe",
    "ScriptStep": "harness.minifilter.steps",
    "Step": "harness.minifilter.probe",
    "Trace": "harness.minifilter.trace",
    "Volume": "harness.fleet.volume",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "step":
        return import_module("harness.minifilter.steps")
    if name not in _LATER:
        raise AttributeError(f"fltlab has no {name!r}")
    return getattr(import_module(_LATER[name]), name)
