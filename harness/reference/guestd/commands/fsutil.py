"""Volumes: `fsutil volume dismount`, as Windows has it, and `fltlab-volume`, which only a model can do."""

from harness.nt.hresult import hresult_of_status, message_of
from harness.reference.guestd.commands.table import Invocation, command
from harness.reference.guestd.kernel_process import KernelRefused
from harness.wire import kernel as wire

USAGE = (
    "usage: fltlab-volume remove X: [surprise] | fltlab-volume disk X: [failing=read,write] [status=N] [count=N]"
    " [milliseconds=N] [full] [through]"
)


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
    """`remove X: [surprise]`: take a volume's disk out of the machine; `disk X: [KEY=VALUE]...`: how it is from now."""
    words = [word.lower() for word in call.words[1:]]
    if words[:1] == ["disk"] and len(words) > 1:
        return _set_disk(call, call.words[2], words[2:])
    if words[:1] != ["remove"] or len(words) not in (2, 3) or words[2:] not in ([], ["surprise"]):
        call.err(USAGE)
        return 87
    return _ask(call, wire.RemoveDisk(call.words[2], surprise=bool(words[2:])))


def _set_disk(call: Invocation, letter: str, words: list[str]) -> int:
    """`failing=read,write status=N count=N milliseconds=N full through`; without a word it is as it should be."""
    values = dict(word.partition("=")[::2] for word in words)
    numbers = {key: values.pop(key, "0") for key in ("status", "count", "milliseconds")}
    failing = tuple(filter(None, values.pop("failing", "").split(",")))
    full, through = (values.pop(key, None) is not None for key in ("full", "through"))
    if values or not all(text.isdecimal() for text in numbers.values()) or not set(failing) <= {"read", "write"}:
        call.err(USAGE)
        return 87
    given = {key: int(text) for key, text in numbers.items()}
    return _ask(call, wire.SetDisk(letter, failing, **given, full=full, through=through))


def _ask(call: Invocation, request: wire.Dismount | wire.RemoveDisk | wire.SetDisk) -> int:
    try:
        call.guest.kernel.ask(request, wire.Done)
    except KernelRefused as refused:
        status = refused.refused.ntstatus & 0xFFFF_FFFF
        call.out(f"Error:  {message_of(hresult_of_status(status)) or f'NTSTATUS 0x{status:08x}'}")
        return 1
    return 0
