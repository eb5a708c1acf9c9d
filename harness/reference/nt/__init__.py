"""Exports of ntoskrnl.exe and HAL.dll, by topic."""

from importlib import import_module

TOPICS = ("debug", "ex_pool", "exceptions", "ke_irql")
"""The modules that define exports; `load_topics` imports them."""


def load_topics() -> None:
    """Register the exports of all topics."""
    for topic in TOPICS:
        import_module(f"harness.reference.nt.{topic}")
