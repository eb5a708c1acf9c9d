"""run.json: where a verdict comes from (versions, hashes, options, seed), and the run's summary in numbers."""

import json
import os
import platform
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from harness.report.summary import Summary
from harness.shipped import IS_CHECKOUT, SHIPPED

FILE_NAME = "run.json"
MODEL_NOTICE = "verdict of the reference kernel, an executable model of the documented contract; not of Windows"


@dataclass(frozen=True)
class GuestFacts:
    """What one kind of guest of the run was; a field that does not apply stays empty.

    `remark` is what a reader should know of how a Windows guest was run.
    """

    name: str
    kind: str
    image_sha256: str = ""
    qemu: str = ""
    accelerator: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""

    @property
    def notice(self) -> str:
        """What a reader of the verdict must know about this kind of guest."""
        return self.remark if self.kind == "windows" else MODEL_NOTICE


@dataclass(frozen=True)
class Provenance:
    """Everything of a run that is not a result. Times are UTC, ISO 8601.

    `arguments` are those of pytest, given in `directory`; `resumed` says when an interrupted run was gone on with.
    """

    id: str
    started: str
    command: tuple[str, ...]
    versions: Mapping[str, str]
    host: Mapping[str, str]
    options: Mapping[str, Any]
    seed: int | None = None
    mutants: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    directory: str = ""
    resumed: tuple[str, ...] = ()
    finished: str | None = None
    guests: Mapping[str, GuestFacts] = field(default_factory=dict)
    drivers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def collect(
        cls,
        run_id: str,
        command: tuple[str, ...],
        options: Mapping[str, Any],
        seed: int | None,
        mutants: tuple[str, ...] = (),
        *,
        arguments: tuple[str, ...] = (),
        directory: str = "",
    ) -> Self:
        """The facts known when a run begins."""
        return cls(
            id=run_id,
            started=now(),
            command=command,
            versions=_versions(),
            host={"system": platform.platform(), "cores": str(os.cpu_count() or 1)},
            options=options,
            seed=seed,
            mutants=mutants,
            arguments=arguments,
            directory=directory,
        )

    def resume(self, at: str) -> Self:
        return replace(self, resumed=(*self.resumed, at), finished=None)

    def finish(self, at: str) -> Self:
        return replace(self, finished=at)

    def with_guest(self, facts: GuestFacts) -> Self:
        """With a guest more: those that were asked for are in the order of the question, whichever came up first."""
        guests = {**self.guests, facts.name: facts}
        asked = {name: place for place, name in enumerate(self.options.get("guest", ()))}
        return replace(self, guests=dict(sorted(guests.items(), key=lambda one: asked.get(one[0], len(asked)))))

    def with_drivers(self, hashes: Mapping[str, str]) -> Self:
        return replace(self, drivers=dict(sorted({**self.drivers, **hashes}.items())))


def new_run_id() -> str:
    """`<UTC time>-<four hex digits>`, so that two runs of one second have their own directories."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_run_json(directory: Path, provenance: Provenance, summary: Summary | None) -> Path:
    """Write run.json in one step; `summary` is None while the run is still going."""
    path = directory / FILE_NAME
    data = asdict(provenance)
    for name, facts in provenance.guests.items():
        data["guests"][name]["notice"] = facts.notice
    data["summary"] = asdict(summary) if summary else None
    unfinished = path.with_suffix(".json.new")
    unfinished.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)
    return path


def read_run_json(directory: Path) -> Provenance:
    """The provenance that `write_run_json` wrote."""
    data = json.loads((directory / FILE_NAME).read_text(encoding="utf-8"))
    data.pop("summary", None)
    guests = {}
    for name, facts in data.pop("guests").items():
        facts.pop("notice", None)
        guests[name] = GuestFacts(**facts)
    lists = {name: tuple(data.get(name, ())) for name in ("command", "mutants", "arguments", "resumed")}
    return Provenance(**{**data, **lists, "guests": guests})


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    versions |= {name: version(name) for name in ("fltlab", "pytest", "pywinrm", "paramiko", "unicorn")}
    commit = _commit(SHIPPED) if IS_CHECKOUT else ""
    return versions | ({"commit": commit} if commit else {})


def _commit(root: Path) -> str:
    """The commit of fltlab's checkout, with "+" if it was changed since; empty without a checkout."""
    if not (root / ".git").exists():
        return ""
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return described.stdout.strip()
