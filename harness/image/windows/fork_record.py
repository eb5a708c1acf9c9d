"""What came of trying forks of a Windows image, and whether it still holds: forks are off unless it does.

The record is no part of the sealed image: it is about this host too. It holds for one image, one accelerator, one QEMU
and one machine (its command line and this processor); whatever else has changed, forks are off until they were tried
again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.guest.forks import FORKS
from harness.guest.selftest import Finding
from harness.host.accelerator import Accelerator
from harness.host.directories import home, private_directory, write_private
from harness.host.regular import read_regular
from harness.image.store import KEY_LENGTH

FORMAT = 1


@dataclass(frozen=True)
class Setting:
    """What a verdict about forks is about. `machine` is the fingerprint of the machine's specification.

    `content` is that of the image's files: an image that is built again has its old key, and another Windows in it.
    """

    image: str
    image_key: str
    content: str
    accelerator: Accelerator
    qemu: str
    machine: str

    @property
    def path(self) -> Path:
        """Where the record is kept."""
        return home() / "forks" / f"{self.image}-{self.image_key[:KEY_LENGTH]}-{self.accelerator}.json"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Tried(_Model):
    check: str
    measured: str
    difference: str


class _Record(_Model):
    format: int
    image: str
    image_key: str
    content: str
    accelerator: Accelerator
    qemu: str
    machine: str
    tried: str
    forks: int
    findings: tuple[_Tried, ...]


def save(setting: Setting, forks: int, findings: Sequence[Finding]) -> Path:
    """Keep what came of trying that many forks, in the place of what was known before."""
    record = _Record(
        format=FORMAT,
        image=setting.image,
        image_key=setting.image_key,
        content=setting.content,
        accelerator=setting.accelerator,
        qemu=setting.qemu,
        machine=setting.machine,
        tried=datetime.now(UTC).isoformat(timespec="seconds"),
        forks=forks,
        findings=tuple(_Tried(check=f.check, measured=f.measured, difference=f.difference) for f in findings),
    )
    private_directory(setting.path.parent)
    scratch = setting.path.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    write_private(scratch, record.model_dump_json(indent=1).encode() + b"\n")
    return scratch.replace(setting.path)


def forget(setting: Setting) -> bool:
    """Remove the record, so that forks are off; whether there was one."""
    there = setting.path.exists()
    setting.path.unlink(missing_ok=True)
    return there


def why_not(setting: Setting, forks: int = FORKS) -> str:
    """Why this image's guests may not be forks here; "" if they may."""
    try:
        record = _Record.model_validate_json(read_regular(setting.path))
    except FileNotFoundError:
        return f"they have not been tried under {setting.accelerator}"
    except (OSError, ValidationError) as error:
        return f"the record of their trial, {setting.path}, cannot be read: {str(error).splitlines()[0]}"
    if record.format != FORMAT:
        return f"the record of their trial, {setting.path}, was written by another version of fltlab"
    if (record.image, record.image_key) != (setting.image, setting.image_key):
        return f"they were tried with another image, {record.image} {record.image_key[:12]}"
    if record.content != setting.content:
        return "the image has been built again since they were tried"
    if record.accelerator is not setting.accelerator:
        return f"they were tried under {record.accelerator}, and this is {setting.accelerator}"
    if record.qemu != setting.qemu:
        return f"they were tried with QEMU {record.qemu}, and this is {setting.qemu}"
    if record.machine != setting.machine:
        return "they were tried with another machine: its profile, this processor or QEMU's build has changed"
    failed = next((finding for finding in record.findings if finding.difference), None)
    if failed is not None:
        return f"their trial failed, {failed.check}: {failed.difference}"
    if record.forks < forks:
        return f"only {record.forks} of them were tried, and {forks} must have been good"
    return ""
