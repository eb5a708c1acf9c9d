"""Batch files: the lines of a .cmd or .bat, one after the other, until one says `exit`."""

from harness.reference.guestd.commands.table import Invocation

EXTENSIONS = (".cmd", ".bat")
SILENT = ("@echo off", "echo off", "setlocal", "endlocal")


def lines_of(text: str) -> list[str]:
    """The commands of a batch file, without comments, labels and the leading @."""
    commands = []
    for line in text.splitlines():
        command = line.strip()
        if not command or command.startswith(":") or command.lower() in SILENT:
            continue
        commands.append(command.removeprefix("@"))
    return commands


def is_batch(call: Invocation) -> bool:
    """Whether the command's first word names a batch file."""
    return call.words[0].lower().endswith(EXTENSIONS)
