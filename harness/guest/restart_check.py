"""A restart that Driver Verifier takes, and another without it: what must be as it was before comes back as it was."""

from harness.errors import FltLabError
from harness.guest.guest import Guest
from harness.guest.inf import build_number
from harness.guest.restart import restart
from harness.guest.selftest import Finding
from harness.guest.state_checks import SCRIPT_FILE, read_state, script_content
from harness.guest.verifier import Level, apply

CHECK = "restarts with Driver Verifier"
DRIVER = "fltlab-selftest.sys"
KEPT = ("networks", "utc_offset", "utc_clock", "start_options", "language")
"""What of a guest's state must outlast a restart."""


def check_restart(guest: Guest) -> Finding:
    """Switch Driver Verifier on for a driver and off again, with the restarts that takes, and compare the state."""
    try:
        guest.put(script_content(), SCRIPT_FILE)
        before = read_state(lambda command: guest.run(command).output)
        first = guest.identity()
        build = build_number(first)
        on = apply(guest, Level.STANDARD, [DRIVER], build, lambda: restart(guest))
        during = guest.identity()
        apply(guest, Level.OFF, [], build, lambda: restart(guest))
        last = guest.identity()
        after = read_state(lambda command: guest.run(command).output)
    except FltLabError as error:
        return Finding(CHECK, "-", error.message, tuple(error.details), error.hint or "")
    changed = [
        f"{name} was {before.get(name)}, is {after.get(name)}" for name in KEPT if before.get(name) != after.get(name)
    ]
    boots = len({first.boot_id, during.boot_id, last.boot_id})
    if boots != len((first, during, last)):
        changed.insert(0, "its boot id outlasts a restart")
    raw = tuple(f"| {line}" for line in on.text.splitlines() if line.strip())
    return Finding(CHECK, f"flags 0x{on.flags:x} and off again, {boots} boots", "; ".join(changed), raw)
