"""`--dry-run`: everything a build would use, written out, with nothing started.

inputs/…            the files of the provisioning CD, with placeholders for the password and a product key
qemu-put-on-disk    QEMU's command line of the first stage, one argument a line
qemu-set-up         that of the second
plan.json           the choice that was made: edition, mode, boot entry, machine
"""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

from harness.errors import ConfigurationError
from harness.host.tools import Tool
from harness.image.windows.plan import Plan, Source, build_inputs
from harness.image.windows.prepare import PLACEHOLDER, Prepared
from harness.image.windows.product_key import PLACEHOLDER as PLACEHOLDER_KEY
from harness.image.windows.profile import Host, Installation, build_spec
from harness.image.windows.recipe import InstallMode
from harness.image.windows.wim import Edition
from harness.machine.disks import DiskImage, Format
from harness.machine.parts import Launch

INPUTS, FIRST, SECOND, PLAN = "inputs", "qemu-put-on-disk", "qemu-set-up", "plan.json"
_CHANNEL = 3
"""The descriptor that stands for the control channel in a written command line."""


def write_dry_run(prepared: Prepared, host: Host, directory: Path) -> list[Path]:
    """Write all inputs of a build below `directory`, which must be empty or new; return the files."""
    if directory.exists() and any(directory.iterdir()):
        raise ConfigurationError(f"{directory} is not empty", hint="--dry-run DIR takes a new directory")
    files = {
        **{f"{INPUTS}/{name}": content for name, content in _inputs(prepared.plan).items()},
        **{name: "\n".join(words).encode() + b"\n" for name, words in command_lines(prepared, host).items()},
        PLAN: json.dumps(describe(prepared), indent=2, sort_keys=True).encode() + b"\n",
    }
    written = []
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written.append(path)
    return written


def command_lines(prepared: Prepared, host: Host) -> dict[str, list[str]]:
    """QEMU's command lines of both stages, with names instead of the paths of a workspace."""
    plan = prepared.plan
    size, winrm = plan.recipe.machine, plan.recipe.provisioning.winrm
    workspace = Path("/workspace")
    cd = workspace / "provisioning.iso"
    lines: dict[str, list[str]] = {}
    qemu = Path(Tool.QEMU.require().name)
    if prepared.media is not None:
        iso = DiskImage(Path("/iso") / prepared.media.path.name, Format.RAW)
        if prepared.media.no_prompt_sector is not None:
            iso = DiskImage(workspace / "windows-no-prompt.qcow2", Format.QCOW2, backing=iso)
        files = Installation(workspace / "system-1.qcow2", workspace / "variables-1.qcow2", cd, iso)
        launch = Launch(workspace / "windows-pe", _CHANNEL)
        lines[FIRST] = build_spec(host, size, files, winrm).command_line(launch, qemu)
    needs_cd = plan.source is Source.DISK or plan.mode is InstallMode.SETUP
    later = Installation(workspace / "system-2.qcow2", workspace / "variables-2.qcow2", cd if needs_cd else None)
    second = build_spec(host, size, later, winrm, open_network=plan.activate)
    lines[SECOND] = second.command_line(Launch(workspace / "first-start", _CHANNEL), qemu)
    return lines


def describe(prepared: Prepared) -> dict[str, object]:
    """The choices of a plan, as data."""
    plan, media, disk = prepared.plan, prepared.media, prepared.disk
    inputs = _inputs(plan)
    return {
        "image": plan.recipe.name,
        "description": plan.recipe.description,
        "licence": plan.recipe.licence,
        "source": {"file": prepared.source.name, "kind": plan.source.value},
        "mode": plan.mode.value,
        "edition": _edition(plan.edition) if plan.edition is not None else None,
        "boot_entry": media.no_prompt_sector if media is not None else None,
        "disk": {"format": disk.format, "virtual_size": disk.virtual_size} if disk is not None else None,
        "machine": plan.recipe.machine.model_dump(mode="json"),
        "provisioning": plan.recipe.provisioning.model_dump(mode="json"),
        "inputs": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(inputs.items())},
    }


def _inputs(plan: Plan) -> dict[str, bytes]:
    """The inputs with nothing secret in them."""
    public = replace(plan, product_key=PLACEHOLDER_KEY) if plan.product_key is not None else plan
    return build_inputs(public, PLACEHOLDER)


def _edition(edition: Edition) -> dict[str, object]:
    architecture = edition.architecture
    return {**asdict(edition), "architecture": architecture.name if architecture is not None else None}
