"""What fltprobe answers: the result of each step of an I/O script, and the events of every minifilter it drained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import GuestError, TestError
from harness.minifilter.events import Event, decode_events
from harness.minifilter.listing import DirectoryEntry, entries_of
from harness.minifilter.prints import PrintReport, decode_prints
from harness.minifilter.steps.script_step import ScriptStep
from harness.nt import NtStatus, Status, status_name
from harness.text import LINE_LIMIT, SafeText, read_json, safe_line

VERSION = 1


@dataclass(frozen=True)
class Step:
    """One step of an I/O script. `status` is its NTSTATUS; times are performance counts, as in events.

    `name` is what the step names first: the handle it opens or uses, the event it waits for, the label of a filter.
    `data` are the first bytes of what was read, and a page of what was queried or listed; `digest` is of all of it, 0
    where nothing came. `outstanding` says that its deadline passed.
    """

    line: int
    verb: SafeText
    name: SafeText
    status: int
    information: int
    thread: int
    begin: int
    end: int
    data: bytes
    outstanding: bool
    digest: int = 0
    information_class: int = 0
    """Of a directory query: how its answer is laid out (FILE_INFORMATION_CLASS)."""

    @property
    def entries(self) -> list[DirectoryEntry]:
        """What a directory query has listed; of one with `async=` it is the `wait` that has it. TestError for others.

        A page of more than 4096 bytes is told, and listed here, as far as that.
        """
        if not self.information_class:
            raise TestError(f"{self.verb} {self.name} lists no directory", details=(str(self),))
        return entries_of(self.information_class, self.data)

    @property
    def names(self) -> list[str]:
        """The names that a directory query has listed, in their order."""
        return [entry.name for entry in self.entries]

    def __str__(self) -> str:
        late = ", outstanding" if self.outstanding else ""
        return f"line {self.line}: {self.verb} {self.name}: {status_name(self.status)}, {self.information}{late}"


@dataclass(frozen=True)
class FilterReport:
    """One minifilter's ring: its events, how many were lost, and how many operations it still holds.

    `prints` is what it captured of DbgPrint; None if it was not asked, or had nothing to tell.
    """

    events: tuple[Event, ...]
    dropped: int
    outstanding: int
    prints: PrintReport | None = None


@dataclass(frozen=True)
class PortMessage:
    """A message that fltprobe took from a communication port of a driver, without its header.

    `reply_length` is how many bytes the driver takes as a reply; `answer` what FilterReplyMessage said (an HRESULT),
    None where the message was not answered; `at` is a performance count.
    """

    number: int
    data: bytes
    reply_length: int
    answer: int | None
    at: int

    @property
    def text(self) -> str:
        """The message as the UTF-16 text that it is, up to its first NUL."""
        return self.data[: len(self.data) & ~1].decode("utf-16-le", "replace").partition("\0")[0]


@dataclass(frozen=True)
class ProbeResult:
    """One run of fltprobe. `frequency` is performance counts a second; `error` is what was wrong with the script.

    `ports` has what came over the ports that it was connected to as the driver's own service is.
    """

    process_id: int
    thread_id: int
    steps: tuple[Step, ...]
    filters: Mapping[str, FilterReport]
    frequency: int
    error: SafeText | None
    ports: Mapping[str, tuple[PortMessage, ...]] = field(default_factory=dict)
    line_of: Mapping[ScriptStep, int] = field(default_factory=dict, compare=False)
    """Of a script whose steps are objects."""

    def step(self, verb: str, name: str | None = None) -> Step:
        """The one step with this verb, and this name if one is given; TestError if there is none, or more than one."""
        found = self.all(verb, name)
        if len(found) != 1:
            wanted = f"{verb} {name}" if name else verb
            raise TestError(
                f"the script ran {len(found)} steps '{wanted}', not one",
                details=tuple(str(step) for step in self.steps),
            )
        return found[0]

    def all(self, verb: str | None = None, name: str | None = None) -> list[Step]:
        """Every step with this verb and this name."""
        return [step for step in self.steps if verb in {None, step.verb} and name in {None, step.name}]

    def __getitem__(self, of: str | ScriptStep) -> Step:
        """What came of a step of the script; or of the last one that names this handle or event."""
        if isinstance(of, ScriptStep):
            found = [step for step in self.steps if step.line == self.line_of.get(of)]
            what = f"the script did not come to {of.text!r}" if of in self.line_of else f"{of.text!r} is no step of it"
        else:
            found, what = self.all(name=of), f"no step names {of!r}"
        if not found:
            raise TestError(what, details=tuple(str(step) for step in self.steps))
        return found[-1]

    def names(self, directory: str | ScriptStep) -> list[str]:
        """The names that all queries of an open directory have listed, page after page."""
        name = directory.name if isinstance(directory, ScriptStep) else directory
        return [entry for step in self.all("directory", name) for entry in step.names]

    @property
    def events(self) -> list[Event]:
        """The events of all minifilters."""
        return [event for report in self.filters.values() for event in report.events]


def parse_probe(text: str) -> ProbeResult:
    """Read fltprobe's JSON document; GuestError if it is none, with what came instead."""
    try:
        return _result(read_json(text))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise GuestError(
            "fltprobe did not answer with its JSON document",
            details=(f"{type(error).__name__}: {error}", *text[:LINE_LIMIT].strip().splitlines()[:10]),
        ) from error


def _result(document: Mapping[str, Any]) -> ProbeResult:
    if document["version"] != VERSION:
        raise ValueError(f"version {document['version']}, not {VERSION}")
    return ProbeResult(
        process_id=int(document["process_id"]),
        thread_id=int(document["thread_id"]),
        steps=tuple(_step(step) for step in document["steps"]),
        filters={safe_line(label): _filter(safe_line(label), report) for label, report in document["filters"].items()},
        frequency=_positive(document["frequency"]),
        error=_error(document["error"]),
        ports={safe_line(name): tuple(map(_message, found)) for name, found in document.get("ports", {}).items()},
    )


def _message(message: Mapping[str, Any]) -> PortMessage:
    answer = int(message["answer"]) & 0xFFFFFFFF
    return PortMessage(
        number=int(message["id"]),
        data=bytes.fromhex(message["data"]),
        reply_length=int(message["reply_length"]),
        answer=None if answer == NtStatus.PENDING else answer,
        at=int(message["at"]),
    )


def _step(step: Mapping[str, Any]) -> Step:
    return Step(
        line=int(step["line"]),
        verb=safe_line(step["verb"]),
        name=safe_line(step.get("name") or ""),
        status=Status(int(step["status"]) & 0xFFFFFFFF),
        information=int(step.get("information") or 0),
        thread=int(step["thread_id"]),
        begin=int(step["begin"]),
        end=int(step["end"]),
        data=bytes.fromhex(step.get("data") or ""),
        outstanding=bool(step.get("outstanding")),
        digest=int(step.get("digest") or 0),
        information_class=int(step.get("class") or 0),
    )


def _filter(label: str, report: Mapping[str, Any]) -> FilterReport:
    records: Sequence[str] = report["events"]
    return FilterReport(
        events=tuple(decode_events(label, records)),
        dropped=int(report["dropped"]),
        outstanding=int(report["outstanding"]),
        prints=_prints(label, report["prints"]) if "prints" in report else None,
    )


def _prints(label: str, report: Mapping[str, Any]) -> PrintReport:
    return PrintReport(
        decode_prints(label, report["records"]), lost=int(report["lost"]), status=int(report["status"]) & 0xFFFFFFFF
    )


def _positive(value: object) -> int:
    number = int(str(value))
    if number <= 0:
        raise ValueError(f"{number} performance counts a second")
    return number


def _error(error: object) -> SafeText | None:
    if isinstance(error, Mapping):
        return safe_line(", ".join(f"{key} {value}" for key, value in error.items()))
    return safe_line(error) if error else None
