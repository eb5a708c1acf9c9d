"""Commands about the system itself: hostname, ver, whoami, certutil, echo, exit."""

import hashlib

from harness.reference.guestd.commands.table import Invocation, command
from harness.reference.guestd.paths import BadPath

VERSION = "fltlab reference guest [a model of Windows, not Windows]"
PRIVILEGES = ("SeLoadDriverPrivilege", "SeBackupPrivilege", "SeRestorePrivilege", "SeShutdownPrivilege")


@command("hostname")
def hostname(call: Invocation) -> int:
    """Print the computer's name."""
    call.out(call.guest.configuration.hostname)
    return 0


@command("ver")
def ver(call: Invocation) -> int:
    """Print what this is."""
    call.out(f"\n{VERSION}")
    return 0


@command("echo")
def echo(call: Invocation) -> int:
    """Print the rest of the line."""
    call.out(call.rest or "ECHO is on.")
    return 0


@command("rem")
def rem(call: Invocation) -> int:
    """Do nothing."""
    return 0


class Leave(Exception):
    """Leave the batch file, or the command line, with an exit code; with that of the last command if none is given."""

    def __init__(self, code: int = 0, *, given: bool = True) -> None:
        super().__init__(code)
        self.code = code
        self.given = given


@command("exit")
def leave(call: Invocation) -> int:
    """End with an exit code: `exit 3`, `exit /b 3`, `exit /b` with that of the command before."""
    numbers = [word for word in call.words[1:] if word.lstrip("-").isdigit()]
    raise Leave(int(numbers[0])) if numbers else Leave(given=False)


@command("whoami")
def whoami(call: Invocation) -> int:
    """Print the user, or with /priv its privileges."""
    configuration = call.guest.configuration
    if "/priv" not in [word.lower() for word in call.words]:
        call.out(f"{configuration.hostname}\\{configuration.user}")
        return 0
    call.out("\nPRIVILEGES INFORMATION\n----------------------\n")
    call.out(f"{'Privilege Name':<30} State")
    call.out(f"{'=' * 30} =======")
    for name in PRIVILEGES:
        call.out(f"{name:<30} Enabled")
    return 0


@command("certutil")
def certutil(call: Invocation) -> int:
    """`-f -addstore <store> <file>`: recorded, checked by nobody (no signatures here); `-hashfile <file> SHA256`."""
    words = [word for word in call.words[1:] if word.lower() != "-f"]
    verb = words[0].lower().lstrip("-/") if words else ""
    path = {"addstore": words[2:3], "hashfile": words[1:2]}.get(verb, [])
    if len(words) != 3 or not path or (verb == "hashfile" and words[2].upper() != "SHA256"):
        call.err("CertUtil: only -addstore <store> <file> and -hashfile <file> SHA256 are known here")
        return 1
    try:
        place = call.guest.drives.local(path[0], call.command.shell.directory)
        present = place.is_file()
    except (BadPath, OSError):
        present = False
    if not present:
        call.err(f"CertUtil: -{verb} command FAILED: 0x80070002 (WIN32: 2 ERROR_FILE_NOT_FOUND)")
        return -2147024894
    if verb == "addstore":
        call.guest.certificates.append(f"{words[1]} {words[2]}")
        call.out(f'{words[1]}\nCertificate "{words[2]}" added to store.')
    else:
        with place.open("rb") as file:
            call.out(f"SHA256 hash of {path[0]}:\n{hashlib.file_digest(file, 'sha256').hexdigest()}")
    call.out(f"CertUtil: -{verb} command completed successfully.")
    return 0
