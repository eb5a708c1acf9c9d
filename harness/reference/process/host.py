"""The process of a reference kernel: messages (harness/wire/kernel.py) as lines of JSON on standard input and output.

There is one answer to each request. A refusal carries an NTSTATUS; once the kernel has stopped, every answer says how.
Started as `python -m harness.reference.process.host --volume DIR`; it ends with its standard input.
"""

import argparse
import gc
import resource
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from harness.nt import NtStatus
from harness.reference.machine.cpu.block_counter import ImageCounters
from harness.reference.machine.stop import MachineStop
from harness.reference.process import audit, registry_copy, registry_edits
from harness.reference.process.attempts import AttemptRunner, entrances_of
from harness.reference.process.counting import count_drivers, take_coverage
from harness.reference.process.disks import set_disk
from harness.reference.process.refusal import RefusedError
from harness.reference.process.running_programs import RunningPrograms
from harness.reference.process.serving import serve
from harness.reference.process.stops import stop_message
from harness.reference.process.volume_arguments import add_arguments, copy_of_disk, volumes
from harness.reference.windows.fltmgr.attachment import find_instance
from harness.reference.windows.fltmgr.filters import Filter, Instance
from harness.reference.windows.fltmgr.instance_definitions import definitions
from harness.reference.windows.io.volume_handles import dismount
from harness.reference.windows.io.volume_removal import remove
from harness.reference.windows.io.volumes import Volume
from harness.reference.windows.kernel import Kernel
from harness.reference.windows.verifier.bug_check_stop import BugCheckKind, BugCheckStop
from harness.wire import attempts, programs
from harness.wire import kernel as wire
from harness.wire.codec import MalformedMessageError
from harness.wire.kernel import ASKED_IN_VAIN, OPENED_IN_VAIN
from harness.wire.kernel_state import Finding, KernelState, SeenCallbacks, State
from harness.wire.registry_edits import EditRegistry
from harness.wire.schedule import AskFollowed, GoBack, KeepPoint

VOLUME_NAME = "V:"
LAST_LINES = 100
_OBJECTS_BETWEEN_COLLECTIONS = 20_000
USAGE_ERROR = 2


class Host:
    """A kernel and what can be asked of it."""

    def __init__(self, system: Kernel, counters: ImageCounters | None = None) -> None:
        self._system = system
        runner = AttemptRunner(system, counters, stop_message)
        self.is_copy = False
        """Whether it goes on from a point that another process keeps: then it can be gone back to."""
        self._programs = RunningPrograms(system)
        self._loading = False
        self._operations: Mapping[type, Callable[[Any], wire.Answer]] = {
            wire.SetRegistry: self._set_registry,
            wire.GetRegistry: self._get_registry,
            EditRegistry: partial(registry_edits.run, system),
            wire.Load: self._load,
            wire.Unload: self._unload,
            wire.Attach: self._attach,
            wire.Detach: self._detach,
            wire.Dismount: self._dismount,
            wire.RemoveDisk: self._remove_disk,
            wire.SetDisk: self._set_disk,
            wire.ListFilters: self._filters,
            wire.ListDrivers: self._drivers,
            wire.ListInstances: self._instances,
            wire.ListVolumes: self._volumes,
            wire.Run: self._run,
            wire.Watch: self._watch,
            wire.Starve: self._starve,
            programs.Start: lambda asked: self._opened(self._programs.start_in_background, asked),
            programs.Look: self._programs.look,
            programs.Await: lambda asked: self._opened(self._programs.run_to_end, asked),
            programs.End: lambda asked: self._opened(self._programs.end, asked),
            wire.Audit: self._audit,
            wire.TakeCoverage: partial(take_coverage, counters),
            attempts.Attempts: lambda asked: self._opened(runner.run, asked),
            attempts.ListEntrances: lambda asked: self._opened(lambda _: entrances_of(system, asked.service), asked),
            KeepPoint: self._keep_point,
            GoBack: self._go_back,
            AskFollowed: lambda _: self._system.schedules.followed(),
            wire.Status: self._status,
            wire.Shutdown: lambda _: wire.Done(),
        }

    def answer(self, request: wire.Request) -> wire.Answer:
        """Do what a request asks."""
        try:
            return self._operations[type(request)](request)
        except MachineStop as stop:
            return wire.Stopped(self._stopped(stop))
        except RefusedError as refused:
            return wire.Refused(refused.status, str(refused))
        except (OSError, MalformedMessageError) as error:
            return wire.Refused(int(NtStatus.UNSUCCESSFUL), f"{type(error).__name__}: {error}")

    def _stopped(self, stop: MachineStop) -> KernelState:
        state = State.BUGCHECK if isinstance(stop, BugCheckStop) else State.HANG
        trace: list[str] = []
        if isinstance(stop, BugCheckStop) and stop.kind is BugCheckKind.KERNEL_FAULT:
            trace = traceback.format_exception(stop.__cause__ or stop)
        return replace(
            self._state(),
            state=state,
            message=str(stop),
            stop=stop_message(stop),
            traceback=tuple(trace),
            asked_in_vain=self._asked_in_vain(),
            seen=self._seen(),
        )

    def _asked_in_vain(self) -> str:
        """What the driver that is being loaded has asked the registry for last, and not been given."""
        missed = self._system.registry.missed
        return missed[-1] if self._loading and missed else ""

    def _state(self) -> KernelState:
        k = self._system
        return KernelState(
            State.RUNNING,
            seed=k.seed,
            findings=self._findings(),
            log=tuple(k.log[-LAST_LINES:]),
            trace=tuple(f"{entry.time} {entry.thread} {entry.what}" for entry in k.trace.entries[-LAST_LINES:]),
            mutants=k.mutants.names,
            policy=k.policy.as_dict(),
            processors=len(k.processors),
            time=k.now,
            digest=k.trace.digest,
            drivers=tuple(driver.name for driver in k.drivers.loaded.values()),
        )

    # -- operations

    def _set_registry(self, told: wire.SetRegistry) -> wire.Done:
        k = self._system
        registry_copy.take(k.registry.machine, told.machine)
        k.registry.changed = False
        k.service_images.clear()
        k.service_images.update((name.lower(), Path(path)) for name, path in told.images.items())
        return wire.Done()

    def _get_registry(self, _: wire.GetRegistry) -> wire.RegistryKey:
        self._system.registry.changed = False
        return registry_copy.tell(self._system.registry.machine)

    def _load(self, asked: wire.Load) -> wire.Done:
        k = self._system
        self._check_open_to_use()
        k.registry.missed.clear()
        k.io.missed_file = ""
        self._loading = True
        status, message = k.run(k.filter_services.load(asked.service), f"load {asked.service}")
        missed, self._loading = self._asked_in_vain(), False
        if message and missed:
            message += f"; {ASKED_IN_VAIN}{missed}"
        elif message and k.io.missed_file:
            message += f"; {OPENED_IN_VAIN}{k.io.missed_file}"
        return self._expect(status, message)

    def _unload(self, asked: wire.Unload) -> wire.Done:
        k = self._system
        self._check_open_to_use()
        unloading = k.filter_services.unload(asked.service, mandatory=asked.mandatory)
        return self._expect(k.run(unloading, f"unload {asked.service}"))

    def _attach(self, asked: wire.Attach) -> wire.Attached:
        k = self._system
        found, place = self._find(asked.service, asked.volume)
        before = set(found.instances)
        attaching = k.flt.attachments.attach_manually(found, place, asked.instance, asked.altitude)
        self._expect(k.run(attaching, f"attach {asked.service}"))
        return wire.Attached(next(item.name for item in found.instances if item not in before))

    def _detach(self, asked: wire.Detach) -> wire.Done:
        k = self._system
        found, place = self._find(asked.service, asked.volume)
        item = find_instance(found, place, asked.instance)
        if item is None:
            raise RefusedError(int(NtStatus.FLT_INSTANCE_NOT_FOUND))
        return self._expect(k.run(k.flt.attachments.detach_manually(item), f"detach {asked.service}"))

    def _dismount(self, asked: wire.Dismount) -> wire.Done:
        k = self._system
        return self._expect(k.run(dismount(k.io, self._place(asked.volume)), f"dismount {asked.volume}"))

    def _remove_disk(self, asked: wire.RemoveDisk) -> wire.Done:
        k = self._system
        removing = remove(k.io, self._place(asked.volume), surprise=asked.surprise)
        return self._expect(k.run(removing, f"remove {asked.volume}"))

    def _set_disk(self, asked: wire.SetDisk) -> wire.Done:
        self._check_open_to_use()
        set_disk(self._system, self._place(asked.volume), asked)
        return wire.Done()

    def _drivers(self, _: wire.ListDrivers) -> wire.Drivers:
        self._check_open_to_use()
        return wire.Drivers(tuple(driver.name for driver in self._system.drivers.loaded.values()))

    def _filters(self, _: wire.ListFilters) -> wire.Filters:
        self._check_open_to_use()
        k = self._system
        return wire.Filters(
            tuple(
                wire.FilterFacts(item.name, len(item.instances), _default_altitude(k, item), item.frame.number)
                for item in k.flt.filters.values()
            )
        )

    def _instances(self, _: wire.ListInstances) -> wire.Instances:
        self._check_open_to_use()
        k = self._system
        found = (item for volume in k.io.volumes if volume.device for item in k.flt.on(volume).instances)
        return wire.Instances(tuple(_instance(item) for item in found))

    def _volumes(self, _: wire.ListVolumes) -> wire.Volumes:
        self._check_open_to_use()
        found = (volume for volume in self._system.io.volumes if volume.device)
        return wire.Volumes(
            tuple(wire.VolumeFacts(item.dos_name, item.device_name, item.file_system_name) for item in found)
        )

    def _run(self, asked: wire.Run) -> wire.Ended:
        self._check_open_to_use()
        k = self._system
        k.flt.recorder.begin()
        program = self._programs.start(asked.image, asked.args, asked.stdin)
        remain = self._programs.finish(program)
        assert program.exit_status is not None
        return wire.Ended(
            program.exit_status,
            bytes(program.output.data),
            remain,
            len(k.verifier.findings),
            registry_changed=k.registry.changed,
            seen=self._seen(),
        )

    def _starve(self, asked: wire.Starve) -> wire.Starved:
        self._check_open_to_use()
        self._system.scarcity.ask(dict.fromkeys(asked.services, asked.every))
        return wire.Starved(self._system.scarcity.failed)

    def _watch(self, asked: wire.Watch) -> wire.Done:
        self._check_open_to_use()
        self._system.flt.recorder.watch(asked.services)
        self._system.print_recorder.watch()
        return wire.Done()

    def _audit(self, asked: wire.Audit) -> wire.Answer:
        self._check_open_to_use()
        k = self._system
        known = len(k.verifier.findings)
        if self.is_copy or asked.for_good:  # all that is done here is undone, or nobody minds
            audit.unload(k, asked.services)
            return wire.Findings(self._findings()[known:])

        def found() -> bytes:
            answer: wire.Answer
            try:
                audit.unload(k, asked.services)
                answer = wire.Findings(self._findings()[known:])
            except MachineStop as stop:
                answer = wire.Stopped(self._stopped(stop))
            return wire.envelope(0, answer).encode()

        try:
            _, answer = wire.opened(audit.in_a_fork(found))
        except audit.AuditError as error:
            raise RefusedError(int(NtStatus.UNSUCCESSFUL), str(error)) from error
        assert isinstance(answer, wire.Findings | wire.Stopped)
        return answer

    def _keep_point(self, asked: KeepPoint) -> wire.Done:
        """The point itself is kept by `serve`, once this is answered."""
        self._check_open_to_use()
        if self.is_copy:
            raise RefusedError(int(NtStatus.INVALID_DEVICE_REQUEST), "a point is kept already")
        self._system.schedules.watch(asked.services)
        return wire.Done()

    def _go_back(self, _: GoBack) -> wire.Done:
        """Where a point is kept, `serve` goes back."""
        raise RefusedError(int(NtStatus.INVALID_DEVICE_REQUEST), "no point is kept to go back to")

    def went_back(self, asked: GoBack) -> wire.Answer:
        """The kernel is at the point again: go on as it was asked."""
        try:
            if asked.plan is not None:
                self._system.schedules.follow(asked.plan)
        except MalformedMessageError as error:
            return wire.Refused(int(NtStatus.INVALID_PARAMETER), str(error))
        return wire.Done()

    def _findings(self) -> tuple[Finding, ...]:
        found = self._system.verifier.findings
        return tuple(Finding(one.text, one.rule, one.driver, one.time, one.chain) for one in found)

    def _status(self, _: wire.Status) -> KernelState:
        self._check_open_to_use()
        return self._state()

    # -- what they share

    def _seen(self) -> SeenCallbacks:
        recorder, prints = self._system.flt.recorder, self._system.print_recorder
        return SeenCallbacks(
            *(tuple(recorder.recorded()), recorder.lost, prints.recorded(), prints.lost), recorder.filters()
        )

    def _opened(self, operation: Callable[[Any], wire.Answer], asked: wire.Request) -> wire.Answer:
        self._check_open_to_use()
        return operation(asked)

    def _check_open_to_use(self) -> None:
        if self._system.stop is not None:
            raise self._system.stop

    def _find(self, service: str, volume: str) -> tuple[Filter, Volume]:
        self._check_open_to_use()
        found = self._system.flt.filter_named(service)
        if found is None:
            raise RefusedError(int(NtStatus.FLT_FILTER_NOT_FOUND))
        return found, self._place(volume)

    def _place(self, volume: str) -> Volume:
        self._check_open_to_use()
        place = self._system.io.volume_named(volume)
        if place is None:
            raise RefusedError(int(NtStatus.FLT_VOLUME_NOT_FOUND))
        return place

    def _expect(self, status: int, message: str = "") -> wire.Done:
        if status & 0x8000_0000:
            raise RefusedError(status, message)
        watched = bool(self._system.registry_callbacks.registered)
        return wire.Done(self._system.registry.changed, watched)


def _default_altitude(k: Kernel, item: Filter) -> str:
    if item.instances:
        return item.instances[0].altitude_text
    listed = definitions(k.registry, item.name)
    return listed[0].altitude if listed else ""


def _instance(item: Instance) -> wire.InstanceFacts:
    return wire.InstanceFacts(item.filter.name, item.volume.dos_name, item.altitude_text, item.name, item.frame.number)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE_ERROR, f"the reference kernel does not start: {message}\n")


def _policy(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"a policy is NAME=VALUE, not {text!r}")
    return name, value


def _allow_open_files() -> None:
    """Every file that is open in the guest has a descriptor here: as many as the host lets us have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one kernel."""
    parser = _Parser(prog="harness.reference.process.host", description=__doc__)
    parser.add_argument("--volume", type=Path, required=True, help="the directory that is volume V:")
    add_arguments(parser, VOLUME_NAME)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processors", type=int, default=2)
    parser.add_argument("--mutant", action="append", default=[])
    parser.add_argument("--policy", action="append", type=_policy, default=[])
    parser.add_argument("--coverage", action="store_true", help="count which code of drivers runs")
    parser.add_argument("--file-system", type=Path, help="the .sys of a file system that V: is mounted by")
    parser.add_argument("--disk", type=Path, help="the image of a disk with that file system; a copy of it is used")
    options = parser.parse_args(arguments)
    _allow_open_files()
    if not options.volume.is_dir():
        parser.error(f"{options.volume} is no directory")
    if (options.file_system is None) is not (options.disk is None):
        parser.error("--file-system and --disk go together")
    image = copy_of_disk(options.disk) if options.disk is not None else None
    try:
        system = Kernel(
            volumes=volumes(options, VOLUME_NAME if image is None else None),
            disks={VOLUME_NAME: image} if image is not None else {},
            seed=options.seed,
            processors=options.processors,
            mutants=options.mutant,
            policy=dict(options.policy),
        )
    except ValueError as error:
        parser.error(str(error))
    counters = count_drivers(system) if options.coverage else None
    if image is not None:
        _mount(system, options.file_system)
    _collect_garbage_seldom()
    serve(Host(system, counters), sys.stdin, sys.stdout)


def _collect_garbage_seldom() -> None:
    """What a kernel is made of stays: looking through it after every 700 objects would be a twentieth of its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)


def _mount(system: Kernel, driver: Path) -> None:
    """Load a file system's driver and have it mount V:; ends the process with what is wrong if it does not."""
    volume = system.io.volume_named(VOLUME_NAME)
    assert volume is not None
    status = system.run(system.drivers.load(driver.stem, driver.read_bytes()), f"load {driver.stem}")
    if not status & 0x8000_0000:
        status = system.run(system.io.file_systems.mount(volume.disk_device), f"mount {VOLUME_NAME}")
    if status & 0x8000_0000:
        sys.exit(f"{driver.name} does not mount the disk: {status:#010x}")


if __name__ == "__main__":
    main()
