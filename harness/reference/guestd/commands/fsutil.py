"""Volumes: `fsutil volume dismount`, as Windows has it, and `fltlab-volume remove`, which only a model can do."""

from harness.nt.hresult import hresult_of_status, message_of
from harness.reference.guestd.commands.table import Invocation, command
from harness.reference.guestd.kernel_process import KernelRefused
from harness.wire import kernel as wire


@command("fsutil")
def fsutil(call: Invocation) -> int:
    """`volume dismount X:`; nothing else of fsutil is here."""
    words = [word.lower() for word in call.words[1:]]
    if words[:2] != ["volume", "dismount"] or len(words) != 3:
        call.out("fsutil is here for: fsutil volume dismount <volume pathname>")
        return 1
    return _ask(call, wire.Dismount(call.words[3]))


@command("fltlab-volume")
def volume(call: Invocation) -> int:
    """`remove X: [surprise]`: take the disk of a volume out of the machine."""
    words = [word.lower() for word in call.words[1:]]
    if words[:1] != ["remove"] or len(words) not in (2, 3) or words[2:] not in ([], ["surprise"]):
        call.err("usage: fltlab-volume remove X: [surprise]")
        return 87
    return _ask(call, wire.RemoveDisk(call.words[2], surprise=bool(words[2:])))


def _ask(call: Invocation, request: wire.Dismount | wire.RemoveDisk) -> int:
    try:
        call.guest.kernel.ask(request, wire.Done)
    except KernelRefused as refused:
        status = refused.refused.ntstatus & 0xFFFF_FFFF
        call.out(f"Error:  {message_of(hresult_of_status(status)) or f'NTSTATUS 0x{status:08x}'}")
        return 1
    return 0
