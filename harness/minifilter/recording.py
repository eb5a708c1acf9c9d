"""A recording: what one guest did with the I/O of a test, in a form that another guest's answer can be held against.

Addresses, threads and times differ between any two runs and are left out. So are IRP_MJ_CLOSE and paging I/O, whose
moment the system chooses, and the operations of other processes. The format is in docs/compare.md.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from harness.errors import ConfigurationError
from harness.minifilter.events import Event, Phase
from harness.minifilter.probe import ProbeResult, Step
from harness.minifilter.trace import Trace
from harness.nt import IrpMajor, PreopStatus, status_name

VERSION = 1
KEY = "fltlab-recording"
_ON_THE_WAY_UP = (Phase.POST, Phase.SAFE_POST, Phase.RESUME_POST)


@dataclass(frozen=True)
class Recorded:
    """One I/O script, and what came of it: a line for each step, and one for each callback, operation by operation."""

    script: str
    steps: tuple[str, ...]
    callbacks: tuple[str, ...]


@dataclass(frozen=True)
class Recording:
    """What a guest did in one test. `observed_on` and `why` are for people; `options` are those of driver_options."""

    test: str
    rules: tuple[str, ...]
    stack: tuple[str, ...]
    options: Mapping[str, Mapping[str, Any]]
    io: tuple[Recorded, ...]
    observed_on: Mapping[str, str] = field(default_factory=dict)
    why: str = ""

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps({KEY: VERSION, **asdict(self)}, indent=1) + "\n"


def observe(script: str, result: ProbeResult) -> Recorded:
    """What came of a script, as a recording keeps it."""
    operations = Trace.of(result, tuple(result.filters)).operations
    own = (
        event
        for operation in sorted(operations, key=lambda item: item.begin)
        for event in operation.events
        if event.requestor_process == result.process_id and event.major is not IrpMajor.CLOSE and not event.paging
    )
    connected = next((step.line for step in result.steps if step.verb == "filter"), 0)
    steps = (_step(step, prepares=step.line < connected) for step in result.steps)
    return Recorded(script, tuple(steps), tuple(map(_callback, own)))


def read_recording(path: Path) -> Recording:
    """Read a recording; ConfigurationError says what is wrong with the file."""
    try:
        return _recording(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read", details=(str(error),)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{path} is no recording", details=(f"{type(error).__name__}: {error}",)) from error


def _recording(values: dict[str, Any]) -> Recording:
    if values.pop(KEY) != VERSION:
        raise ValueError(f"a version of the format that is not {VERSION}")
    io = tuple(Recorded(item["script"], tuple(item["steps"]), tuple(item["callbacks"])) for item in values.pop("io"))
    return Recording(**{**values, "io": io, "rules": tuple(values["rules"]), "stack": tuple(values["stack"])})


def differences(recorded: Recorded, seen: Recorded) -> list[str]:
    """Where another answer to the same script differs: `-` was recorded, `+` was seen."""
    found = []
    for title, was, now in (
        ("steps", recorded.steps, seen.steps),
        ("callbacks", recorded.callbacks, seen.callbacks),
    ):
        lines = _changes(was, now)
        if lines:
            found += [f"{title}:", *lines]
    return found


def _changes(was: Sequence[str], now: Sequence[str]) -> list[str]:
    return [line for line in difflib.ndiff(was, now) if line[:1] in "-+"]


def _step(step: Step, *, prepares: bool) -> str:
    # Before the first filter a test makes its files: whether they were there already says nothing about a filter.
    information = "" if prepares else f", {step.information}"
    late = ", outstanding" if step.outstanding else ""
    return f"{step.line} {step.verb} {step.name}: {status_name(step.status)}{information}{late}"


def _callback(event: Event) -> str:
    kind = event.operation_class.name if event.operation_class is not None else "?"
    returned = event.returned.name if isinstance(event.returned, Enum) else f"0x{event.returned:X}"
    major = event.major.name if isinstance(event.major, Enum) else f"0x{event.major:X}"
    name = f" {event.name}" if event.name else ""
    # On the way down IoStatus holds nothing yet, unless this filter completes the operation.
    settled = event.phase in _ON_THE_WAY_UP or event.returned is PreopStatus.COMPLETE
    status = f", {status_name(event.status)}" if settled else ""
    return f"{event.filter}.{event.phase.spelling} {major} {kind}{name}: {returned}{status}"
