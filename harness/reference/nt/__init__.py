"""Exports of ntoskrnl.exe and HAL.dll, by topic."""

from importlib import import_module

TOPICS = (
    "crt",
    "crt_numbers",
    "debug",
    "debug_print",
    "ex_locks",
    "ex_pool",
    "ex_work",
    "exceptions",
    "io_basics",
    "ke_events",
    "ke_irql",
    "ke_misc",
    "ke_timers",
    "ke_waits",
    "mm",
    "ob",
    "ps",
    "rtl_strings",
    "rtl_conversions",
    "se",
    "se_tokens",
    "zw_registry",
)
"""The modules that define exports; `load_topics` imports them."""


def load_topics() -> None:
    """Register the exports of all topics."""
    for topic in TOPICS:
        import_module(f"harness.reference.nt.{topic}")
