"""QEMU's machine types by version: `q35` is another machine in each QEMU, `pc-q35-7.2` is the same in all."""

import logging
import re
from functools import lru_cache

from harness.errors import HostError
from harness.host.command import run_program
from harness.host.tools import Tool

log = logging.getLogger(__name__)

_ALIAS = re.compile(r"^(\S+)\s.*\(alias of (\S+)\)", re.MULTILINE)


def parse_machine_types(text: str) -> tuple[dict[str, str], frozenset[str]]:
    """Read `-machine help`: what each alias stands for, and all types there are."""
    names = frozenset(line.split()[0] for line in text.splitlines()[1:] if line.strip())
    return dict(_ALIAS.findall(text)), names


@lru_cache(maxsize=1)
def _types() -> tuple[dict[str, str], frozenset[str]]:
    text = run_program([Tool.QEMU.require(), "-machine", "help"], purpose="list the machine types of QEMU", timeout=60)
    return parse_machine_types(text.decode())


def pinned(alias: str, kept: str | None = None) -> str:
    """The versioned machine type: the one that was `kept` with an image, or what `alias` stands for in this QEMU.

    A type that this QEMU does not have any more is told of: Windows finds new hardware.
    """
    aliases, names = _types()
    if kept in names:
        assert kept is not None
        return kept
    if alias not in aliases:
        raise HostError(f"this QEMU has no machine type {alias}", hint="apt-get install qemu-system-x86")
    if kept is not None:
        log.warning(
            "this QEMU has no machine type %s, which the image was built on: %s is taken, new hardware to the guest",
            kept,
            aliases[alias],
        )
    return aliases[alias]
