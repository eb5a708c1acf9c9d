"""What can go wrong between the host and one guest; all of it is the guest's or the transport's fault.

    GuestError
    ├── Unreachable          no connection: nothing of what was asked has run
    ├── CredentialsRefused   the guest answered, and did not take user and password
    ├── ConnectionLost       the connection broke in the middle: what was asked may have run, and is not run again
    │   └── NoAnswer         the guest took the connection, or seemed to, and then said nothing
    ├── CommandTimeout       a command had not ended at its deadline
    ├── WinRmFault           the guest answered with a SOAP fault; `code` is that of the WSManFault
    │   └── ShellGone        the shell is not there any more
    ├── TransferError        a file did not arrive as it was sent
    └── CommandFailed        a command ended with an exit code, or an output, that means failure

A driver under test that brings the guest down is none of these: see `harness.errors.DriverError`.
"""

from harness.errors import GuestError


class Unreachable(GuestError):
    """There is no connection to the guest; nothing of what was asked has run."""


class CredentialsRefused(GuestError):
    """The guest did not take user and password."""


class ConnectionLost(GuestError):
    """The connection broke while something was asked of the guest; it may have run."""


class NoAnswer(ConnectionLost):
    """The guest said nothing, for as long as an answer may take."""


class CommandTimeout(GuestError):
    """A command had not ended at its deadline."""


class TransferError(GuestError):
    """A file did not arrive as it was sent."""


class CommandFailed(GuestError):
    """A command of the harness failed in the guest."""


class WinRmFault(GuestError):
    """The guest answered with a SOAP fault. `code` is the WSManFault's, 0 where there is none."""

    def __init__(self, message: str, *, code: int, subcode: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(message, details=details)
        self.code = code
        self.subcode = subcode


class ShellGone(WinRmFault):
    """The shell that a request named is not there (any more)."""
