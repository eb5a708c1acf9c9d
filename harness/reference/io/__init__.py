"""The I/O manager: file objects, requests, the cache, sections, and the system services that reach files."""

from importlib import import_module

TOPICS = ("transfer_services", "file_services", "device_exports", "control_services")
"""The modules that define exports."""


def load_exports() -> None:
    """Register the exports of all topics."""
    for topic in TOPICS:
        import_module(f"harness.reference.io.{topic}")
