"""The filter manager: filters, instances, callbacks, contexts, ports, and what minifilters import from FLTMGR.SYS."""

from importlib import import_module

TOPICS = (
    "registration",
    "context_exports",
    "pending_exports",
    "work_items",
    "queues",
    "ports",
    "parameters",
    "names",
    "queries",
    "own_io",
    "own_create",
    "cancelled_opens",
    "memory",
    "locks",
)
"""The modules that define exports."""


def load_exports() -> None:
    """Register the exports of all topics."""
    for topic in TOPICS:
        import_module(f"harness.reference.flt.{topic}")
