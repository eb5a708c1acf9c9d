"""Notify routines of processes, threads and images: who registered what, and what is left at unload."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus

if TYPE_CHECKING:
    from harness.reference.machine.loader.images import Image
    from harness.reference.windows.ntos.executive import Executive

MOST_ROUTINES = 64
_REMOVERS = {
    "process": "PsSetCreateProcessNotifyRoutine",
    "process-ex": "PsSetCreateProcessNotifyRoutineEx",
    "process-ex2": "PsSetCreateProcessNotifyRoutineEx2",
    "thread": "PsRemoveCreateThreadNotifyRoutine",
    "thread-ex": "PsRemoveCreateThreadNotifyRoutine",
    "image": "PsRemoveLoadImageNotifyRoutine",
    "logon-session": "SeUnregisterLogonSessionTerminatedRoutine",
}


def routines(k: "Executive", *kinds: str) -> list[int]:
    """The registered routines of some kinds, in the order of registration."""
    return [routine for kind in kinds for routine in k.notify_routines.get(kind, ())]


def register(k: "Executive", kind: str, routine: int) -> int:
    """Add a routine; NTSTATUS."""
    registered = k.notify_routines.setdefault(kind, [])
    if routine in registered or len(registered) >= MOST_ROUTINES:
        return int(NtStatus.INVALID_PARAMETER)
    registered.append(routine)
    return 0


def remove(k: "Executive", kind: str, routine: int) -> int:
    """Take a routine away; PROCEDURE_NOT_FOUND if it is not registered."""
    registered = k.notify_routines.get(kind, [])
    if routine not in registered:
        return int(NtStatus.PROCEDURE_NOT_FOUND)
    registered.remove(routine)
    return 0


def report_left(k: "Executive", driver: str, image: "Image") -> None:
    """A driver goes: report the routines in it that are still registered, and call them no more."""
    for kind, registered in k.notify_routines.items():
        for routine in [item for item in registered if image.base <= item < image.end]:
            registered.remove(routine)
            k.verifier.report(
                None, driver, f"leak at unload: the {kind} notify routine {image.describe(routine)} is still registered"
                f" ({_REMOVERS.get(kind, kind)})",
            )  # fmt: skip
