"""Notify routines of processes, threads and images: who registered what."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.machine.loader.images import Image
    from harness.reference.machine.scheduler.requests import KernelCode
    from harness.reference.windows.ntos.executive import Executive

MOST_ROUTINES = 64
_KINDS = {
    "process": Kind("process notify routine", "PsSetCreateProcessNotifyRoutine"),
    "process-ex": Kind("process notify routine", "PsSetCreateProcessNotifyRoutineEx"),
    "process-ex2": Kind("process notify routine", "PsSetCreateProcessNotifyRoutineEx2"),
    "thread": Kind("thread notify routine", "PsRemoveCreateThreadNotifyRoutine"),
    "thread-ex": Kind("thread notify routine", "PsRemoveCreateThreadNotifyRoutine"),
    "thread-subsystems": Kind("thread notify routine", "PsRemoveCreateThreadNotifyRoutine"),
    "image": Kind("image notify routine", "PsRemoveLoadImageNotifyRoutine"),
    "logon-session": Kind("routine for ends of logon sessions", "SeUnregisterLogonSessionTerminatedRoutine"),
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
    if not k.blame.is_code(routine):
        k.verifier.report(None, k.blame.current().driver, f"registers {routine:#x} as a {kind} notify routine: no code")
    k.holdings.take(_KINDS[kind], routine)
    return 0


def remove(k: "Executive", kind: str, routine: int) -> int:
    """Take a routine away; PROCEDURE_NOT_FOUND if it is not registered."""
    registered = k.notify_routines.get(kind, [])
    if routine not in registered:
        return int(NtStatus.PROCEDURE_NOT_FOUND)
    registered.remove(routine)
    k.holdings.give_back(_KINDS[kind], routine)
    return 0


def call(k: "Executive", routine: int, *arguments: int) -> "KernelCode":
    """Call a routine; who takes it away meanwhile waits for its end."""
    end = Event(f"the end of a notify routine at {routine:#x}")
    calls = k.notify_calls.setdefault(routine, [])
    calls.append(end)
    try:
        yield from k.kept.call("its notify routine", routine, *arguments)
    finally:
        calls.remove(end)
        k.signal(end)


def removed(k: "Executive", status: int, routine: int) -> "KernelCode":
    """The end of taking a routine away: no call of it is under way any more, so that its driver may be unloaded."""
    for end in list(k.notify_calls.get(routine, ())) if not status else ():
        yield Wait([end], reason=f"{end.name}, which is taken away")
    return status


def forget_routines(k: "Executive", image: "Image") -> None:
    """A driver goes: the routines in it that are still registered, which is reported, are called no more."""
    for registered in k.notify_routines.values():
        registered[:] = [item for item in registered if not image.base <= item < image.end]
