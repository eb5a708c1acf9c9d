"""What the daemon is told at its start, and again when its guest is forked."""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path


class ConfigurationFault(Exception):
    """The configuration file is not what the daemon expects."""


@dataclass
class Configuration:
    """One guest's identity and places. `password` and `boot_id` change when the guest is forked.

    `system` holds what the guest sees as C:, `volume` as V:. `kernel` are words of the
    reference kernel's command line. `ssh` is where the SSH server's keys are, if there is one.
    """

    password: str = field(repr=False)
    boot_id: str
    user: str = "fltlab"
    hostname: str = "reference"
    address: str = "127.0.0.1"
    port: int = 0
    volume: Path = Path("/volume")
    system: Path = Path("/windows")
    kernel: list[str] = field(default_factory=list)
    ssh: Path | None = None
    version: int = 1


def read_configuration(path: Path) -> Configuration:
    """Read the JSON file; a ConfigurationFault says what is wrong with it."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationFault(f"{path}: {error}") from error
    known = {item.name for item in fields(Configuration)}
    unknown = sorted(set(values) - known)
    if unknown or not {"password", "boot_id"} <= set(values):
        raise ConfigurationFault(f"{path}: unknown {unknown}, or password or boot_id missing")
    for name in ("volume", "system", "ssh"):
        if values.get(name) is not None:
            values[name] = Path(values[name])
    if values.get("version", 1) != 1:
        raise ConfigurationFault(f"{path}: version {values['version']} is not 1")
    return Configuration(**values)
