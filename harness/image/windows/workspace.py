"""Where an image is built: the stages that are done, and the files they left, so that an interrupted build goes on.

A stage's result is never written again: the next stage works on an overlay of it.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path

from harness.host.command import run_program
from harness.host.directories import home, private_directory
from harness.host.regular import kept_json
from harness.host.tools import Tool
from harness.image.windows import credentials
from harness.image.windows.credentials import Credentials

_STATE = "state.json"


class Stage(Enum):
    """What a build has come to."""

    EMPTY = 0
    ON_DISK = 1
    """Windows is on the disk and has not started yet."""

    SEALED = 2
    """It is set up, sealed and switched off."""


@dataclass(frozen=True)
class State:
    """What a build has come to, and what is worth knowing about how: seconds of each phase, warnings of the guest.

    `certificate` is the SHA-256 of the certificate that the guest made for HTTPS, `ssh_host_key` what its SSH server
    shows, `licence` what Windows said of it (harness/guest/licence.py) and until when it runs.
    """

    stage: Stage
    durations: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    certificate: str | None = None
    ssh_host_key: str | None = None
    licence: Mapping[str, object] | None = None


@dataclass(frozen=True)
class Workspace:
    """The directory of one build."""

    directory: Path

    @classmethod
    def of(cls, image: str, key: str) -> "Workspace":
        """Return the workspace of a build, by the image's name and key."""
        return cls(home() / "builds" / f"{image}-{key[:12]}")

    @property
    def evidence(self) -> Path:
        """Where logs and screenshots are kept."""
        return private_directory(self.directory / "evidence")

    @property
    def provisioning_cd(self) -> Path:
        """The provisioning CD."""
        return self.directory / "provisioning.iso"

    @property
    def windows_cd(self) -> Path:
        """The overlay of the user's ISO."""
        return self.directory / "windows-no-prompt.qcow2"

    def disk(self, stage: Stage) -> Path:
        """Return the system disk that a stage leaves."""
        return self.directory / f"system-{stage.value}.qcow2"

    def variables(self, stage: Stage) -> Path:
        """Return the firmware's variables that a stage leaves."""
        return self.directory / f"variables-{stage.value}.qcow2"

    def state(self) -> "State":
        """Return what is done."""
        try:
            values = kept_json(self.directory / _STATE)
            stage, known = (
                Stage(values["stage"]),
                (values["certificate"], values.get("ssh_host_key"), values.get("licence")),
            )
            return State(stage, values["durations"], values["warnings"], *known)
        except (OSError, ValueError, KeyError, TypeError):
            return State(Stage.EMPTY)

    def keep(self, state: "State") -> None:
        """Note what is done."""
        temporary = self.directory / f"{_STATE}.new"
        values = {**asdict(state), "stage": state.stage.value}
        temporary.write_text(json.dumps(values), encoding="utf-8")
        temporary.replace(self.directory / _STATE)

    def credentials(self, user: str) -> Credentials:
        """Return the build's credentials: the same ones however often it is taken up again."""
        path = self.directory / "credentials.json"
        if not path.exists():
            private_directory(self.directory)
            credentials.save(credentials.generate(user), path)
        return credentials.load(path)

    def begin_disk(self, stage: Stage, gib: int) -> Path:
        """Make the system disk that a stage works on: empty, or an overlay of the stage before."""
        path = self.disk(stage)
        path.unlink(missing_ok=True)
        before = self.disk(Stage(stage.value - 1))
        image = Tool.QEMU_IMG.require()
        backing: list[str | Path] = ["-F", "qcow2", "-b", before.name] if before.exists() else []
        size: list[str | Path] = [] if backing else [f"{gib}G"]
        run_program(
            [image, "create", "-q", "-f", "qcow2", *backing, path.name, *size],
            purpose="make the guest's disk",
            cwd=self.directory,
        )
        path.chmod(0o600)
        return path

    def begin_variables(self, stage: Stage) -> Path:
        """Make the firmware's variables that a stage works on: a copy of those of the stage before."""
        path = self.variables(stage)
        path.unlink(missing_ok=True)
        shutil.copyfile(self.variables(Stage(stage.value - 1)), path)
        path.chmod(0o600)
        return path

    def drop(self, stage: Stage) -> None:
        """Remove what an unfinished stage left."""
        for path in (self.disk(stage), self.variables(stage)):
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove everything."""
        if self.directory.exists():
            shutil.rmtree(self.directory)
