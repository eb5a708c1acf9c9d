"""`lab`: what a test of a suite works with. The stack of minifilters, the I/O, and what came of it."""

import contextlib
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from harness.errors import ConfigurationError, DriverError, FltLabError, GuestError, TestError, did_you_mean
from harness.fleet.expected_stop import ExpectedStop
from harness.fleet.filters import FilterHandle
from harness.fleet.service import Beside, PlayedService
from harness.fleet.volume import Volume
from harness.guest.background import BackgroundProgram, ProgramUnderTest
from harness.guest.stack import SERVICE_PREFIX
from harness.minifilter.prints import print_report
from harness.minifilter.probe import ProbeResult
from harness.minifilter.script import mistakes
from harness.minifilter.steps import ScriptStep
from harness.minifilter.trace import SeenByKernel, Trace
from harness.minifilter.tracing import Asked, IoRun, Unanswered, event_of
from harness.nt import BugCheck, nt_success
from harness.report.records import Witness
from harness.wire.kernel_state import SeenCallbacks, Stop

_STACK_VERBS = frozenset({"attach", "detach", "load", "unload", "stop"})
"""Steps that change the stack, also where the minifilter itself records nothing of it."""


_PLACE = re.compile(r"line (?P<line>\d+): (?P<what>.*)", re.DOTALL)


class Lab:
    """The stack under test on a guest.

    A minifilter is an attribute by its label: `lab.completion.when(IrpMajor.CREATE, name="x").complete(status)`. Then
    `lab.io(script)` does I/O, and `lab.trace` answers questions about what the filters recorded meanwhile.
    """

    def __init__(
        self,
        filters: Sequence[FilterHandle],
        volume: Volume,
        run_probe: Callable[[str], tuple[str, ProbeResult]],
        check_kernel: Callable[[], None],
        witnesses: list[Witness],
        seen: Callable[[], SeenCallbacks] = SeenCallbacks,
        start_program: Callable[[ProgramUnderTest], BackgroundProgram] | None = None,
        *,
        put: Callable[[Mapping[str, bytes]], None] | None = None,
        stop: Callable[[], Stop | None] = lambda: None,
    ) -> None:
        """`seen` is what the kernel has seen of watched minifilters during the last script, if there is a way to know.

        `put` puts files into the guest that the steps of a script cannot make, or that a black box must not see made.
        `stop` is how the reference kernel has ended. The rest is as a test has it: `run_probe` runs a script,
        `check_kernel` raises what the kernel has found.
        """
        self.scripts: list[IoRun | Unanswered] = []
        self._asked: list[str] = []
        """The scripts, answered or not."""
        self._filters = {handle.label: handle for handle in filters}
        self._volume = volume
        self._run_probe = run_probe
        self._check_kernel = check_kernel
        self._witnesses = witnesses
        self._seen = seen
        self._start_program = start_program
        self._put = put
        self._stop = stop
        self.programs: list[BackgroundProgram] = []
        """The user-mode parts of the drivers, as their driver.yaml names them, from top to bottom."""
        self._services: list[PlayedService] = []
        self._others: list[Beside | BackgroundProgram] = []
        self._printed_until = -1
        """The time stamp of the last print that the kernel has told of."""

    def __getattr__(self, label: str) -> FilterHandle:
        if label.startswith("_"):
            raise AttributeError(label)
        return self.filter(label if label in self._filters else label.replace("_", "-"))

    def filter(self, label: str) -> FilterHandle:
        """The minifilter of this label; `lab.<label>` is the same."""
        if label not in self._filters:
            raise AttributeError(
                f"the stack has no minifilter {label!r}{did_you_mean(label, self._filters)}"
                f" (it has {', '.join(self._filters) or 'none'})"
            )
        return self._filters[label]

    def io(self, *script: str | ScriptStep) -> ProbeResult:
        """Run an I/O script under the rules given so far, and return the results of its steps.

        The script is text, or steps of `fltlab.step`, or both. What is wrong with it is a TestError that has the place,
        before anything of it runs.

        Files that the test asked of `volume` are made first, before the rings are cleared. DriverError if the kernel
        has found a minifilter breaking a rule; TestError if the script could not be run to its end: a step was still
        outstanding at its deadline, a minifilter refused a rule, or a step names a file that could not be opened.
        """
        text, line_of = _as_text(script)
        _require_grammar(text, self._labels)
        for service in self._services:
            service.start()
        before = [f"await {service.ready} timeout=5000" for service in self._services if service.is_running]
        before += self._prepared()
        for handle in self._filters.values():
            before += handle.script
        own = {
            number: self._of_service(line.strip())
            for number, line in enumerate(text.splitlines(), start=1)
            if line.strip()
        }
        text = "\n".join([*before, *own.values()]) + "\n"
        self._asked.append(text)
        asked, since = Asked(text, len(before), datetime.now(UTC).isoformat(timespec="milliseconds")), time.monotonic()
        try:
            _, result = self._run_probe(text)
        except FltLabError as error:
            asked = replace(asked, seconds=time.monotonic() - since)
            self.scripts.append(Unanswered(asked, error.message, self._seen_by_kernel().events))
            if isinstance(error, GuestError):
                self._check_kernel()  # what a minifilter has done says more than that fltprobe did not end well
            raise
        asked = replace(asked, seconds=round(time.monotonic() - since, 6))
        own_steps = [step for step in result.steps if step.line > len(before)]
        begin = own_steps[0].begin if own_steps else 0
        trace = Trace.of(result, tuple(self._filters), since=begin, seen=self._seen_by_kernel())
        self.scripts.append(IoRun(asked, result, trace))
        self._check_kernel()
        _require_whole(result, trace, len(before), _in_own_words(result.error, before, own))
        numbers = list(own)
        return replace(
            result,
            steps=tuple(replace(step, line=numbers[step.line - len(before) - 1]) for step in own_steps),
            line_of=line_of,
        )

    def _of_service(self, line: str) -> str:
        """A step on the stack, with the service of the minifilter where that has a name of its own."""
        words = line.split()
        if len(words) > 1 and words[0] in {"attach", "detach"} and words[1] in self._filters and "service=" not in line:
            service = self._filters[words[1]].service
            if service != SERVICE_PREFIX + words[1]:
                return f'{line} service="{service}"'
        if len(words) > 1 and words[0] in {"load", "unload", "stop"} and words[1] in self._filters:
            return f'{words[0]} "{self._filters[words[1]].service}"'
        return line

    def _prepared(self) -> list[str]:
        """The steps that make the files of the test; none where they are put there otherwise."""
        theirs = any(not handle.has_port for handle in self._filters.values())
        if self._put is None and self._volume.needs_putting:
            raise ConfigurationError(
                "here only fltprobe can make files: of a length that is a multiple of 4096, each byte the same"
            )
        if self._put is None or not (theirs or self._volume.needs_putting):
            return self._volume.take_steps()
        files = self._volume.take_files()
        if files:
            self._put(files)
        return []

    @contextlib.contextmanager
    def expect_bugcheck(self, code: BugCheck | None = None, driver: str | None = None) -> Iterator[ExpectedStop]:
        """The I/O within is to end in a bug check: with this code, in this driver (its service), where they are given.

        TestError if it does not, or in another. The guest is not used again afterwards.
        """
        expected = ExpectedStop()
        try:
            yield expected
        except DriverError as error:
            expected.told(error, self._stop())
        expected.require(code, driver)

    def _seen_by_kernel(self) -> SeenByKernel:
        """What the kernel has seen of the minifilters of the stack that record nothing themselves."""
        seen = self._seen()
        label_of = {handle.service.casefold(): label for label, handle in self._filters.items()}
        events = (event_of(item) for item in seen.callbacks if item.filter.casefold() in label_of)
        named = (replace(event, filter=label_of[event.filter.casefold()]) for event in events)
        prints = [item for item in seen.prints if item.time_stamp > self._printed_until]
        if prints:
            self._printed_until = prints[-1].time_stamp
        return SeenByKernel(tuple(named), seen.lost, print_report(prints, seen.lost_prints))

    # -- beside the I/O

    def service(self, port: str, *, context: bytes = b"", threads: int = 1) -> PlayedService:
        r"""Play the user-mode service of the driver under test, on one of its ports, such as `\scanner`.

        `context` is what it connects with. It begins with the next `lab.io`.
        """
        served = PlayedService(self._start, self._signal, port, context, threads)
        self._services.append(served)
        return served

    def beside(self, *script: str | ScriptStep) -> Beside:
        """Run an I/O script in a process of its own, now, beside what `lab.io` does; `result()` waits for its end."""
        text, _ = _as_text(script)
        _require_grammar(text, ())
        beside = Beside(self._start, "\n".join(line.strip() for line in text.splitlines()) + "\n")
        self._others.append(beside)
        beside.start()
        return beside

    def start(self, command: str, *, ready: str = "", seconds: float = 30.0) -> BackgroundProgram:
        """Start a program of the guest beside the I/O, such as the driver's own service.

        It is ready when it has printed `ready`, for which it has so many seconds of the guest's time; without a text,
        when it waits for something. TestError if it does not become so.
        """
        program = self._start(ProgramUnderTest(command, ready=ready, seconds=seconds))
        self._others.append(program)
        return program

    def close(self) -> None:
        """End what runs beside the I/O."""
        for service in self._services:
            service.stop()
        for other in self._others:
            other.result() if isinstance(other, Beside) else other.stop()

    def _start(self, program: ProgramUnderTest) -> BackgroundProgram:
        if self._start_program is None:
            raise ConfigurationError("programs cannot be started here: there is no guest")
        return self._start_program(program)

    def _signal(self, event: str) -> None:
        self._run_probe(f"signal {event}\n")

    def remember(self) -> Callable[[], None]:
        """The rules that were given until now; what is returned makes it so again, and nothing was asked yet."""
        rules = {label: handle.rules for label, handle in self._filters.items()}
        printed_until = self._printed_until

        def again() -> None:
            for label, kept in rules.items():
                self._filters[label].rules = kept
            self._printed_until = printed_until
            for told in (self.scripts, self._asked, self._witnesses, self._services, self._others):
                told.clear()

        return again

    @property
    def _labels(self) -> list[str]:
        """The minifilters that a script is connected to from its beginning."""
        return [label for label, handle in self._filters.items() if handle.has_port]

    @property
    def history(self) -> list[IoRun]:
        """The scripts that were answered."""
        return [io for io in self.scripts if isinstance(io, IoRun)]

    @property
    def trace(self) -> Trace:
        """What the minifilters recorded during the last `io`."""
        history = self.history
        if not history:
            raise ConfigurationError("the test asks for a trace before it has done any I/O", hint="lab.io(...) first")
        return history[-1].trace

    @property
    def has_changed_stack(self) -> bool:
        """Whether a minifilter of the stack was attached, detached, loaded or unloaded meanwhile."""
        words = (line.split(maxsplit=1)[0] for asked in self._asked for line in asked.splitlines() if line)
        return any(word in _STACK_VERBS for word in words) or any(
            io.trace.lifecycle(label) for io in self.history for label in self._filters
        )

    def witness(self, condition: object, text: str) -> None:
        """Say that the contract *permits* what `text` says, and whether it occurred.

        A test that needs it and does not see it ends as "not witnessed": it proves nothing, and is no failure.
        """
        self._witnesses.append(Witness(text, seen=bool(condition)))


def _as_text(script: Sequence[str | ScriptStep]) -> tuple[str, dict[ScriptStep, int]]:
    """A script as lines, and the number of the line that each step is. ConfigurationError for a step given twice."""
    lines: list[str] = []
    line_of: dict[ScriptStep, int] = {}
    for part in script:
        if isinstance(part, ScriptStep):
            if part in line_of:
                raise ConfigurationError(
                    f"{part.text!r} is given twice: which of the two would lab.io(…)[step] be?",
                    hint="make the step anew for each time that it is to be done",
                )
            line_of[part] = len(lines) + 1
        lines += str(part).splitlines()
    return "\n".join(lines), line_of


def _require_grammar(script: str, labels: Collection[str]) -> None:
    """TestError, with the place, for a script that fltprobe would not take: nothing of it has been done then."""
    found = mistakes(script, labels)
    if found:
        first = found[0]
        others = (f"line {other.line}, column {other.column}: {other.text}" for other in found[1:])
        raise TestError(
            f"the I/O script is wrong in line {first.line}, column {first.column}: {first.text}",
            details=(*first.lines(), *others),
            hint="docs/io-script.md has all steps",
        )


def _in_own_words(error: str | None, before: Sequence[str], own: Mapping[int, str]) -> str:
    """What fltprobe says of a line, with the number that the line has in the test's own script."""
    match = _PLACE.match(error or "")
    if match is None:
        return error or ""
    index = int(match["line"]) - 1 - len(before)
    if index < 0:
        return f"{match['what']}\n  in: {before[index]}"
    number, line = list(own.items())[index] if index < len(own) else (index + 1, "")
    return f"line {number}: {match['what']}\n  in: {line}"


def _require_whole(result: ProbeResult, trace: Trace, prepared: int, error: str) -> None:
    """TestError unless the script ran to its end, and what it needed beforehand succeeded.

    `error` is what fltprobe says of the script, in words of the test.
    """
    unprepared = [step for step in result.steps if step.line <= prepared and not nt_success(step.status)]
    outstanding = [step for step in result.steps if step.outstanding]
    held = [
        f"{label} still holds {report.outstanding}" for label, report in result.filters.items() if report.outstanding
    ]
    lost = [f"{label} lost {report.dropped} events" for label, report in result.filters.items() if report.dropped]
    if error:
        message = f"the I/O script stopped: {error}"
    elif unprepared:
        message = f"the files of the test could not be made: {unprepared[0]}"
    elif outstanding:
        message = f"the I/O did not finish in time: {outstanding[0]}"
    elif lost:
        message = f"the trace is not whole: {', '.join(lost)}"
    else:
        return
    steps = [str(step) for step in result.steps if step.line > prepared]
    raise TestError(message, details=(*steps, *held, *str(trace).splitlines()))
