"""The user-mode side: processes, ntdll and fltlib as programs import them. Programs run as machine code."""

from importlib import import_module

TOPICS = ("waits", "memory", "sections", "threads", "fltlib")
"""The modules that define exports."""


def load_exports() -> None:
    """Register the exports of all topics."""
    for topic in TOPICS:
        import_module(f"harness.reference.user.{topic}")
