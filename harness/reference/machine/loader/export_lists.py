"""Which names Windows exports: decides whether an unknown import is missing here, or exists nowhere.

The lists are text files beside this module, one name a line, sorted.
"""

from functools import cache
from pathlib import Path

_LISTS = {
    "ntoskrnl.exe": "ntoskrnl.txt",
    "hal.dll": "hal.txt",
    "fltmgr.sys": "fltmgr.txt",
    "ksecdd.sys": "bcrypt.txt",
    "cng.sys": "bcrypt.txt",
    "ntdll.dll": "ntdll.txt",
    "fltlib.dll": "fltlib.txt",
}


def modules() -> tuple[str, ...]:
    """The modules there is a list of."""
    return tuple(_LISTS)


@cache
def names_of(module: str) -> frozenset[str]:
    """What any Windows exports from a module, by its name in lower case; nothing for a module without a list."""
    file = _LISTS.get(module)
    if file is None:
        return frozenset()
    return frozenset((Path(__file__).parent / "export_names" / file).read_text("ascii").split())


def is_known(module: str, name: str) -> bool:
    """Whether any Windows exports `name` from `module`."""
    return name in names_of(module.lower())
