"""Restarting Windows in a guest, and knowing that it has: by the id of the boot that answers."""

from contextlib import nullcontext, suppress

from harness.errors import GuestError
from harness.guest.errors import ConnectionLost, WinRmFault
from harness.guest.guest import Guest
from harness.guest.identity import Identity, parse_identity
from harness.guest.windows import WindowsBody
from harness.guest.winrm import WinRmSession
from harness.machine.deadlines import Deadline, Deadlines, Wait

COMMAND = "shutdown.exe /r /f /t 0"
_POLL = 1.0


def restart(guest: Guest, deadline: Deadline | None = None) -> Identity:
    """Restart the guest's Windows and wait until another boot answers; its identity.

    Raises what ended the machine (a bug check while it starts, too), or DeadlineError with what was seen last.
    """
    before = guest.identity().boot_id
    with guest.body.restarting() if isinstance(guest.body, WindowsBody) else nullcontext():
        # Windows may stop WinRM before it has answered. That it restarts is seen by the boot that comes.
        with suppress(ConnectionLost, WinRmFault):
            guest.succeed(COMMAND)
        guest.disconnect()
        return wait_for_another_boot(guest, before, deadline)


def wait_for_another_boot(guest: Guest, before: str, deadline: Deadline | None = None) -> Identity:
    """Wait until a boot with another id than `before` answers."""

    def look() -> tuple[Identity | None, str]:
        if guest.body is not None:
            guest.body.check()
        try:
            with WinRmSession(guest.endpoint, f"the guest {guest.name!r}") as session:
                identity = parse_identity(session.run(guest.profile.identity, timeout=Wait.IDENTITY))
        except GuestError as error:  # it is down, or only just coming up
            return None, error.message
        return (identity, "") if identity.boot_id != before else (None, f"boot {before} still answers")

    return (deadline or Deadlines().begin(Wait.WINDOWS_AGAIN)).poll(look, _POLL)
