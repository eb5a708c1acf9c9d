"""A trial: one driver, one standard workload, one verdict. `fltlab try` prints it; a suite may hold one too.

The workload runs twice from the same start, in guests that nobody has used: once with two observers alone, and once
with the driver between them. What the observers and the kernel saw, what came out differently, and what the kernel
found make the verdict.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import DriverError, GuestError, TestError
from harness.fleet.drivers import PROBE, Drivers, build_alone
from harness.fleet.kernel_exports import Needs, needs
from harness.fleet.places import in_words
from harness.fleet.provider import Provider
from harness.fleet.providers import kind_of, provider_for
from harness.fleet.schedules.story import story
from harness.fleet.service import Beside
from harness.fleet.settings import Settings
from harness.fleet.trial import hard
from harness.fleet.trial.baseline import Baseline, observe, run_lines, run_part
from harness.fleet.trial.candidate import Candidate
from harness.fleet.trial.census import take_census
from harness.fleet.trial.races import TriedSchedules, race
from harness.fleet.trial.sightings import ABOVE, BELOW
from harness.fleet.trial.transparency import compare_census, compare_steps
from harness.fleet.trial.verdict import Ended, TrialOptions, Verdict
from harness.fleet.trial.workload import Part
from harness.fleet.user_mode import start_program, start_services
from harness.guest import Guest, GuestKind, GuestState
from harness.guest.background import BackgroundProgram, start
from harness.guest.crash import parse_status
from harness.guest.deploy import OBSERVER, VOLUME, Deployment, DriverUnderTest
from harness.guest.stack import NamedEntry, StackEntry, place
from harness.machine.deadlines import Wait
from harness.machine.watchdog import watchdog
from harness.minifilter.build import BuiltDriver
from harness.minifilter.package import UserService
from harness.minifilter.probe import ProbeResult
from harness.minifilter.trace import SeenByKernel, Trace
from harness.minifilter.tracing import event_of
from harness.nt import DebugComponent, nt_success
from harness.report.coverage.line_coverage import Ran
from harness.report.coverage.measured import Measured, Subject, lines_of_drivers
from harness.wire.kernel_state import Finding

ROOT = "V:\\"
LET_IT_SETTLE = "sleep 3000"
"""Long enough for the lazy writer: what it writes is written while the driver is there."""
DO_NOT_DETACH = "0x801f0010"


def try_driver(candidate: Candidate, options: TrialOptions) -> Verdict:
    """Try one driver. Raises only for what is wrong with the driver's files, the options or this machine."""
    began = time.monotonic()
    verdict = Verdict(candidate, options, kind_of(options.guest))
    verdict.sightings.by_kernel = verdict.kind is not GuestKind.WINDOWS
    own = Drivers(()).build([OBSERVER, PROBE])
    built = build_alone(candidate.package)
    verdict.sha256 = built.sha256
    settings = Settings(
        guests=(options.guest,),
        seed=options.seed,
        image_directory=options.image_directory,
        coverage=options.coverage,
    )
    trial = _Trial(verdict, built, own)
    with contextlib.ExitStack() as scoped:
        provider = provider_for(options.guest, settings)
        scoped.callback(provider.close)
        folder = scoped.enter_context(watchdog().scratch_directory("fltlab-try-"))
        with _guest(provider, folder / "without") as guest:
            without = trial.without(guest)
        with _guest(provider, folder / "with") as guest:
            trial.given(guest, without)
        if (options.schedules or options.schedule is not None) and verdict.ended is Ended.CLEAN:
            with _guest(provider, folder / "raced") as guest:
                trial.raced(guest, lambda: provider.next_test(guest))
    if built.pdb is not None:
        verdict.where = in_words(verdict.told, {candidate.service: built.sys})
    verdict.seconds = time.monotonic() - began
    return verdict


def needs_of(candidate: Candidate, options: TrialOptions) -> Needs | None:
    """What the driver needs of the reference kernel; None where the guest is Windows."""
    if kind_of(options.guest) is GuestKind.WINDOWS:
        return None
    return needs(build_alone(candidate.package).sys)


@contextlib.contextmanager
def _guest(provider: Provider, folder: Path) -> Iterator[Guest]:
    with provider.open(folder, None) as opened:
        yield opened.guest


class _Trial:
    def __init__(self, verdict: Verdict, built: BuiltDriver, own: "dict[str, BuiltDriver]") -> None:
        self._verdict = verdict
        self._own = own
        candidate = verdict.candidate
        stack = [
            StackEntry(OBSERVER, ABOVE),
            StackEntry(candidate.package.name, candidate.package.name, candidate.altitude),
            StackEntry(OBSERVER, BELOW),
        ]
        above, middle, below = place(stack)
        self._label = middle.label
        entry = NamedEntry(
            *(middle.driver, middle.label, middle.altitude),
            *(candidate.service, candidate.instance, candidate.attaches_by_itself),
        )
        self._subject = DriverUnderTest(entry, built, registry=verdict.options.registry)
        self._observers = (above, below)

    # -- the two runs

    def without(self, guest: Guest) -> Baseline:
        """The workload with the observers alone."""
        found = Baseline()
        self._observe(guest)
        for part in self._verdict.options.parts:
            found.parts[part.name], _ = run_part(guest, part)
        self._script(guest, [LET_IT_SETTLE])
        found.census = take_census(lambda lines: self._script(guest, lines), ROOT)
        found.under_load = self._script(guest, hard.under_load(None).lines)
        return found

    def given(self, guest: Guest, without: Baseline) -> None:
        """The workload with the driver between the observers; all that comes of it goes into the verdict."""
        verdict = self._verdict
        try:
            self._observe(guest)
            deployment = self._deploy(guest)
            with self._services(guest, self._subject.driver):
                self._work(guest, without)
            self._take_away(guest, deployment)
            if not verdict.hang:
                census = take_census(lambda lines: self._script(guest, lines), ROOT)
                verdict.differences += compare_census(without.census, census)
                self._leaks(guest)
                if verdict.unloaded == "yes" and verdict.options.hard:
                    self._hard(guest, deployment, without)
        except (DriverError, GuestError, TestError) as error:
            verdict.stop = error
            verdict.stop_is_crash = guest.state is not GuestState.READY
            self._leaks(guest)
        if verdict.options.coverage is not None:
            verdict.measured = self._measured(guest)

    def _measured(self, guest: Guest) -> Measured:
        ran = Ran()
        for one in guest.take_coverage().images:
            if one.service == self._subject.entry.service:
                ran.add(one.spans, one.ends)
        return lines_of_drivers({Subject.of(self._subject.driver): ran})

    @contextlib.contextmanager
    def _services(self, guest: Guest, driver: BuiltDriver) -> Iterator[list[BackgroundProgram]]:
        """What runs beside the I/O: the service that the command names, or else that of driver.yaml."""
        command, package = self._verdict.options.service, driver.package
        source = Drivers((package.directory.parent,) if package.service is not None else ())
        if command:
            named = UserService(binary=Path(command[0]), arguments=" ".join(command[1:]))
            programs = [start_program(guest, source, Path(command[0]), named)]
        else:
            programs = start_services(guest, [driver], source)
        with contextlib.ExitStack() as scoped:
            for program in programs:
                scoped.enter_context(program)
            yield programs

    def _observe(self, guest: Guest) -> None:
        observe(guest, self._observers, self._own)

    def _deploy(self, guest: Guest) -> Deployment:
        """Load and attach the driver."""
        verdict = self._verdict
        deployment = Deployment(guest, [self._subject])
        instances = deployment.deploy()
        verdict.loaded = "yes"
        entry = self._subject.entry
        own = (row for row in instances if row.filter.casefold() == entry.service.casefold())
        verdict.elsewhere = tuple(row.volume for row in own if row.volume.casefold() != VOLUME.casefold())
        refused, by_hand = deployment.refused.get(self._label), self._label in deployment.by_hand
        at = f"at {entry.altitude}{', by fltmc attach alone' * by_hand}"
        verdict.attached = at if refused is None else f"no: fltmc attach is answered {refused}"
        return deployment

    def _work(self, guest: Guest, without: Baseline) -> None:
        verdict = self._verdict
        for part in verdict.options.parts:
            verdict.stage = f"the part {part.name} of the workload"
            result, trace = self._part(guest, part)
            verdict.parts += 1
            verdict.steps += len(result.steps)
            verdict.sightings.add(trace, self._label)
            verdict.differences += compare_steps(part.name, part.lines, without.parts[part.name], result)
            late = [step for step in result.steps if step.outstanding]
            if late or result.error:
                verdict.hang = f"{part.name}: {part.lines[late[0].line - 1] if late else result.error}"
                return
        self._script(guest, [LET_IT_SETTLE])

    def _hard(self, guest: Guest, deployment: Deployment, without: Baseline) -> None:
        """Unload it while it is at work, load it again, and give it no memory."""
        verdict, service = self._verdict, self._subject.entry.service
        before, verdict.in_hard_part = len(self._findings(guest)), True
        verdict.stage = "its second load"
        deployment.start(self._label)
        verdict.stage = "an unload under load"
        part = hard.under_load(service)
        result = self._script(guest, part.lines)
        (stopped,) = (step for step in result.steps if step.verb == "unload")
        verdict.hard.append(f"unload under load: {'done' if not stopped.status else f'0x{stopped.status:08X}'}")
        assert without.under_load is not None
        verdict.differences += compare_steps(part.name, hard.same_answers(part.lines), without.under_load, result)
        if not stopped.status:
            verdict.stage = "its third load"
            deployment.start(self._label)
        self._service_dies(guest)
        parts = [part for part in verdict.options.parts if part.name in hard.SCARCE]
        verdict.stage = "low resources"
        with self._services(guest, self._subject.driver):
            allocations, steps = hard.starved(guest, service, parts, lambda lines: self._script(guest, lines))
        if guest.profile.kernel_status is not None:
            verdict.hard.append(
                f"low resources: {allocations} allocations failed, and {steps} steps for want of memory"
            )
        verdict.stage = "its unload after low resources"
        deployment.unload(self._label)
        verdict.hard_findings = self._findings(guest)[before:]

    def _service_dies(self, guest: Guest) -> None:
        """The service, if there is one, is killed in the middle of I/O: who waits for its answer must be let go."""
        verdict, part = self._verdict, hard.asking()
        with self._services(guest, self._subject.driver) as programs:
            if not programs:
                return
            verdict.stage = "the death of its service"
            self._script(guest, hard.to_ask_about().lines)
            soon = Beside(
                lambda program: start(guest, replace(program, seconds=hard.UNTIL_DEATH)), "\n".join(part.lines) + "\n"
            )
            soon.start()
            for program in programs:
                program.kill()
            result = soon.result()
        late = [part.lines[step.line - 1] for step in result.steps if step.outstanding]
        if late:
            verdict.hang = f"{late[0]}, after the death of its service"
        failed = sum(not nt_success(step.status) for step in result.steps)
        verdict.hard.append(
            f"death of its service under I/O: {f'{len(late)} steps never ended' if late else 'done'}, {failed} of "
            f"{len(result.steps)} steps failed"
        )

    def _take_away(self, guest: Guest, deployment: Deployment) -> None:
        verdict = self._verdict
        verdict.findings = self._findings(guest)
        verdict.stage = "its detachment and unload"
        if self._label not in deployment.refused:
            verdict.detached = _tried(lambda: deployment.detach(self._label), "InstanceQueryTeardown")
        verdict.unloaded = _tried(lambda: deployment.unload(self._label), "FilterUnload")

    def raced(self, guest: Guest, empty: Callable[[], None]) -> None:
        """The driver under other schedules: as many as were asked for, or the one that was given."""
        verdict, options = self._verdict, self._verdict.options
        self._observe(guest)
        self._deploy(guest)
        service = self._subject.entry.service
        subject = TriedSchedules(guest, service, empty)
        moves = options.schedule.moves if options.schedule is not None else None
        with self._services(guest, self._subject.driver):
            verdict.explored = race(subject, options.schedules, options.seed, options.exploration, moves)
        if verdict.explored.found is not None:
            driver = self._subject.driver
            images = {service: driver.sys} if driver.pdb is not None else {}
            verdict.race = (subject.failure.splitlines()[0], *story(verdict.explored, images))

    # -- one script

    def _part(self, guest: Guest, part: Part) -> tuple[ProbeResult, Trace]:
        """Run a part; the answer to its own lines, and what the filters recorded under them."""
        own, result = run_part(guest, part)
        service = self._subject.entry.service.casefold()
        seen = (event_of(item) for item in guest.seen.callbacks if item.filter.casefold() == service)
        self._verdict.registered = next(
            (one for one in guest.seen.filters if one.name.casefold() == service), self._verdict.registered
        )
        lane = SeenByKernel(tuple(replace(event, filter=self._label) for event in seen), guest.seen.lost)
        begin = own.steps[0].begin if own.steps else 0
        trace = Trace.of(result, (ABOVE, self._label, BELOW), since=begin, seen=lane)
        self._verdict.refusals[part.name] = _refusals(guest, begin)
        self._verdict.sightings.lost += sum(report.dropped for report in result.filters.values()) + lane.lost
        return own, trace

    @staticmethod
    def _script(guest: Guest, lines: Sequence[str]) -> ProbeResult:
        return run_lines(guest, lines)[0]

    # -- what the kernel found

    def _leaks(self, guest: Guest) -> None:
        """What its verifier has found until now: what came when the driver was taken away apart from the rest."""
        verdict = self._verdict
        every = self._findings(guest)
        if verdict.unloaded == "not tried":
            verdict.findings = every
        elif not verdict.in_hard_part:
            verdict.leaks = every[len(verdict.findings) :]
        else:
            verdict.hard_findings = every[len(verdict.findings) + len(verdict.leaks) :]

    @staticmethod
    def _findings(guest: Guest) -> list[Finding]:
        command = guest.profile.kernel_status
        if command is None:
            return []
        if guest.state is not GuestState.READY:
            last = guest.last_kernel
            return list(last.findings) if last is not None else []
        return list(parse_status(guest.run(command, timeout=Wait.KERNEL_STATUS)).findings)


def _refusals(guest: Guest, since: int) -> tuple[str, ...]:
    """What the filter manager of a reference kernel said of its own since a performance count, each sentence once."""
    said = (
        one for one in guest.seen.prints if one.component == DebugComponent.FLTMGR and one.performance_count >= since
    )
    return tuple(dict.fromkeys(one.text.rstrip() for one in said))


def _tried(what: Callable[[], None], callback: str) -> str:
    """Whether a driver lets itself be taken away. It may refuse, also by lacking the callback; the rest is raised."""
    try:
        what()
    except DriverError as error:
        if not error.answer:
            raise
        if error.answer.lower().startswith(DO_NOT_DETACH):
            return f"no: it has no {callback} callback, or that refuses"
        return f"no: {error.answer}"
    return "yes"
