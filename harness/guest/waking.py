"""A fork is told who it is: until then its clock, boot id and, in a reference guest, credentials are its template's."""

import base64
import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.errors import GuestError
from harness.guest.endpoint import Endpoint
from harness.guest.errors import CommandTimeout, ConnectionLost, Unreachable
from harness.guest.profiles import Profile
from harness.guest.winrm import WinRmSession
from harness.machine.deadlines import Deadline, Deadlines, Wait
from harness.text import read_json

ENTROPY = 64
_POLL = 0.05


@dataclass(frozen=True)
class NewIdentity:
    """What a fork is to be; `more` is what its kind of guest takes beside the boot id."""

    boot_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    more: Mapping[str, str] = field(default_factory=dict, repr=False)

    def message(self) -> bytes:
        """What a profile's `forked` command reads: the host's time is that of this call."""
        entropy = base64.b64encode(os.urandom(ENTROPY)).decode()
        return json.dumps({"time": time.time(), "entropy": entropy, "boot_id": self.boot_id, **self.more}).encode()


def wake(
    endpoint: Endpoint,
    profile: Profile,
    identity: NewIdentity,
    deadline: Deadline,
    *,
    name: str = "the fork",
    deadlines: Deadlines | None = None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Give a fork its identity as soon as it answers at its template's endpoint; the connection is closed again.

    `check` raises what ended the fork. DeadlineError says what was seen last; GuestError if it did not take it on.
    """
    scaled = deadlines or Deadlines()

    def look() -> tuple[bool | None, str]:
        check()
        with WinRmSession(endpoint, name, scaled) as session:
            try:
                patience = min(scaled.seconds(Wait.FORKED), max(1.0, deadline.remaining))
                told = session.run(profile.forked, identity.message(), patience)
            except (Unreachable, ConnectionLost, CommandTimeout) as error:  # to be told twice does no harm
                return None, error.details[-1] if error.details else error.message
            session.disconnect()  # what it was told may have changed the password
        if not told.ok or boot_id_of(told.output) != identity.boot_id:
            raise GuestError(f"{name} did not take on its identity", details=told.describe())
        return True, "an answer"

    deadline.poll(look, interval=_POLL)


def boot_id_of(output: str) -> str:
    """The boot id in what a guest printed of itself; empty if there is none."""
    try:
        return str(read_json(output)["boot_id"])
    except (ValueError, KeyError, TypeError):
        return ""
