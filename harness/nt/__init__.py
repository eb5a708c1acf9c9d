"""NT vocabulary: the numbers and names of the Windows kernel and the filter manager. No dependencies."""

from harness.nt.bugcheck import BugCheck, bugcheck_name
from harness.nt.debug_print import DebugComponent
from harness.nt.flt import (
    CallbackDataFlags,
    ContextType,
    FilterUnloadFlags,
    InstanceSetupFlags,
    InstanceTeardownFlags,
    OperationRegistrationFlags,
    PostOperationFlags,
    PostopStatus,
    PreopStatus,
    RegistrationFlags,
)
from harness.nt.irp import IRP_MJ_OPERATION_END, IrpMajor, OperationClass
from harness.nt.irql import Irql
from harness.nt.status import NtStatus, Status, is_error, nt_success, status_name

__all__ = [
    "IRP_MJ_OPERATION_END",
    "BugCheck",
    "CallbackDataFlags",
    "ContextType",
    "DebugComponent",
    "FilterUnloadFlags",
    "InstanceSetupFlags",
    "InstanceTeardownFlags",
    "IrpMajor",
    "Irql",
    "NtStatus",
    "OperationClass",
    "OperationRegistrationFlags",
    "PostOperationFlags",
    "PostopStatus",
    "PreopStatus",
    "RegistrationFlags",
    "Status",
    "bugcheck_name",
    "is_error",
    "nt_success",
    "status_name",
]
