"""Finds what Windows exports: every module of these rooms is read, so that none can be left out of a list."""

from importlib import import_module
from pkgutil import walk_packages

ROOMS = ("ntos", "io", "cc", "fsrtl", "fltmgr", "ksecdd", "user")


def load_exports() -> None:
    """Register the exports of all rooms (machine/loader/exports.py)."""
    for room in ROOMS:
        package = import_module(f"harness.reference.windows.{room}")
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)
