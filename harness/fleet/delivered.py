"""Drivers that were built on another machine: a worker of a cluster uses those of its run, and builds none.

The directory that `FLTLAB_BUILT_DRIVERS` names has a folder for each driver and `drivers.json`, which says what is in
them. So every machine of a run has the very same binaries, signed with the certificate of the machine that built them;
its key stays there.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HostError
from harness.host.regular import kept_json

if TYPE_CHECKING:
    from harness.minifilter.build import BuiltDriver
    from harness.minifilter.package import DriverPackage

VARIABLE = "FLTLAB_BUILT_DRIVERS"
LIST = "drivers.json"


def directory() -> Path | None:
    """Where they are; None on a machine that builds its own."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else None


def find_delivered(package: "DriverPackage") -> "BuiltDriver | None":
    """A driver as it was built elsewhere; None if it was not."""
    where = directory()
    if where is None:
        return None
    try:
        entry = kept_json(where / LIST).get(package.name)
        if entry is None:
            return None
        from harness.minifilter.build import BuiltDriver

        folder = where / package.name
        pdb, certificate = (folder / Path(entry[key]).name if entry[key] else None for key in ("pdb", "certificate"))
        return BuiltDriver(package.name, folder / package.image_name, pdb, certificate, str(entry["sha256"]), package)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HostError(f"the drivers in {where} are not what a run has put there", details=(str(error),)) from error


def lay_out(built: Mapping[str, "BuiltDriver"], target: Path) -> None:
    """Make such a directory of drivers that were built here."""
    entries: dict[str, dict[str, str]] = {}
    for name, driver in sorted(built.items()):
        folder = target / name
        folder.mkdir(parents=True)
        files = {"sys": driver.sys, "pdb": driver.pdb, "certificate": driver.certificate}
        for file in files.values():
            if file is not None:
                shutil.copyfile(file, folder / file.name)
        entries[name] = {key: file.name if file is not None else "" for key, file in files.items()}
        entries[name]["sha256"] = driver.sha256
    (target / LIST).write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")
