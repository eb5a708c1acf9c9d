"""Silos, as on a machine without containers: whatever runs is in the host's, which is null."""

from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.loader.exports import NTOSKRNL, export
from harness.reference.windows.ntos.ps.process_objects import thread_at

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_HOST = 0


@export(NTOSKRNL, "PsGetCurrentSilo", "PsGetCurrentServerSilo", "PsGetHostSilo", max_irql=Irql.DISPATCH)
def ps_get_current_silo(k: "Kernel") -> int:
    del k
    return _HOST


@export(NTOSKRNL, "PsGetThreadServerSilo", max_irql=Irql.DISPATCH)
def ps_get_thread_server_silo(k: "Kernel", thread: int) -> int:
    thread_at(k, thread, "PsGetThreadServerSilo")
    return _HOST


@export(NTOSKRNL, "PsGetEffectiveServerSilo", max_irql=Irql.DISPATCH)
def ps_get_effective_server_silo(k: "Kernel", silo: int) -> int:
    _check(k, silo, "PsGetEffectiveServerSilo")
    return _HOST


@export(NTOSKRNL, "PsIsHostSilo", max_irql=Irql.DISPATCH)
def ps_is_host_silo(k: "Kernel", silo: int) -> bool:
    del k
    return silo == _HOST


@export(NTOSKRNL, "PsIsCurrentThreadInServerSilo", max_irql=Irql.DISPATCH)
def ps_is_current_thread_in_server_silo(k: "Kernel") -> bool:
    del k
    return False


@export(NTOSKRNL, "PsAttachSiloToCurrentThread", max_irql=Irql.DISPATCH)
def ps_attach_silo_to_current_thread(k: "Kernel", silo: int) -> int:
    """The silo that the thread was attached to before: the host's, too."""
    _check(k, silo, "PsAttachSiloToCurrentThread")
    return _HOST


@export(NTOSKRNL, "PsDetachSiloFromCurrentThread", max_irql=Irql.DISPATCH)
def ps_detach_silo_from_current_thread(k: "Kernel", before: int) -> None:
    _check(k, before, "PsDetachSiloFromCurrentThread")


@export(NTOSKRNL, "PsGetSiloContainerId", max_irql=Irql.DISPATCH)
def ps_get_silo_container_id(k: "Kernel", silo: int) -> int:
    """Null: the host is no container."""
    _check(k, silo, "PsGetSiloContainerId")
    return 0


def _check(k: "Kernel", silo: int, function: str) -> None:
    if silo != _HOST:
        text = f"{function} was given {k.describe_address(silo)}, which is no silo"
        k.verifier.report(None, k.blame.current().driver, text)
