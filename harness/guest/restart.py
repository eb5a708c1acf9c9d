"""Restarting Windows in a guest, and knowing that it has: by the id of the boot that answers."""

from contextlib import nullcontext, suppress

from harness.errors import GuestError
from harness.guest.errors import CommandFailed, ConnectionLost, WinRmFault
from harness.guest.guest import Guest
from harness.guest.identity import Identity, parse_identity
from harness.guest.windows import WindowsBody
from harness.machine.deadlines import Deadline, Deadlines, Wait

COMMAND = "shutdown.exe /r /f /t 0"
_POLL = 1.0


def restart(guest: Guest, deadline: Deadline | None = None) -> Identity:
    """Restart the guest's Windows and wait until another boot answers; its identity.

    Raises what ended the machine (a bug check while it starts, too), or DeadlineError with what was seen last.
    """
    before = guest.identity().boot_id
    with guest.body.restarting() if isinstance(guest.body, WindowsBody) else nullcontext():
        _ask(guest)
        guest.disconnect()
        return wait_for_another_boot(guest, before, deadline)


def _ask(guest: Guest) -> None:
    """Ask for the restart, in a session of its own.

    Windows may stop WinRM before it has answered, which is no end of the guest; the boot that comes tells.
    """
    name = f"the guest {guest.name!r}"
    with suppress(ConnectionLost, WinRmFault), guest.another_session() as session:
        result = session.run(COMMAND)
        session.disconnect()
        if not result.ok:
            raise CommandFailed(f"{name} does not restart", details=result.describe())


def wait_for_another_boot(guest: Guest, before: str, deadline: Deadline | None = None) -> Identity:
    """Wait until a boot with another id than `before` answers."""

    def look() -> tuple[Identity | None, str]:
        if guest.body is not None:
            guest.body.check()
        try:
            with guest.another_session() as session:
                identity = parse_identity(session.run(guest.profile.identity, timeout=Wait.IDENTITY))
        except GuestError as error:  # it is down, or only just coming up
            return None, error.message
        return (identity, "") if identity.boot_id != before else (None, f"boot {before} still answers")

    return (deadline or Deadlines().begin(Wait.WINDOWS_AGAIN)).poll(look, _POLL)
