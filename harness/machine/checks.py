"""What `fltlab doctor` asks about templates and about machines left over by others."""

from harness.host.checks import Check, Status
from harness.host.disk import used_bytes
from harness.machine.leases import Leases
from harness.machine.template_store import TemplateStore

MIB = 1 << 20


def check_templates(store: TemplateStore | None = None) -> Check:
    """How much room the templates take, against what they may."""
    store = store if store is not None else TemplateStore()
    templates = store.templates()
    used = sum(used_bytes(path) for path in templates) // MIB
    budget = store.budget(used)
    found = f"{len(templates)} templates, {used} of {budget} MiB"
    if used > budget:
        return Check("templates", Status.WARNING, found, "those used least recently go with the next run")
    return Check("templates", Status.OK, found)


def check_leases(leases: Leases | None = None) -> Check:
    """Which machines run now, of all users."""
    holders = (leases if leases is not None else Leases()).holders()
    pids = ", ".join(str(holder.pid) for holder in holders)
    found = f"{len(holders)} machines run (of the processes {pids})" if holders else "no machine runs"
    return Check("machines", Status.OK, found)


def machine_checks() -> list[Check]:
    """Answer every question about machines."""
    return [check_templates(), check_leases()]
