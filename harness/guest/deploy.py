r"""Deploying a stack of minifilters: upload, registration, load, attach; and the way back.

One upload and one batch file do it all, so that a deployment costs two commands over WinRM, and one in a reference
guest. The batch file says which command comes next before it runs it: a failure names the driver, the command, the code
and its meaning.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PureWindowsPath
from typing import Self

from harness.errors import DriverError, FltLabError, GuestError
from harness.guest import inf
from harness.guest.causes import probable_cause
from harness.guest.command import CommandResult, shorten
from harness.guest.guest import Guest
from harness.guest.probe import run_probe
from harness.guest.profiles import GuestKind
from harness.guest.registration import DriverOptions, register, trust, word
from harness.guest.signature import (
    SignatureRefused,
    can_sign_itself,
    refusal,
    sign_in_guest,
    signature_code,
    signs_itself,
)
from harness.guest.stack import SERVICE_PREFIX, NamedEntry, PlacedEntry
from harness.machine.deadlines import Wait
from harness.minifilter.build import BuiltDriver
from harness.minifilter.fltmc import InstanceRow, parse_failure, parse_instances
from harness.minifilter.package import Control, FilterKind
from harness.minifilter.registry import RegistryValue, of_parameters
from harness.nt.hresult import explain

VOLUME = "V:"
OBSERVER = "observer"
DO_NOT_ATTACH = 0x801F000F
"""ERROR_FLT_DO_NOT_ATTACH."""
_MARK = "@@ "
_FLTMC = "fltmc.exe "
_WHAT_THE_DRIVER_DOES = (
    "fltmc.exe load", "fltmc.exe attach", "fltmc.exe unload", "fltmc.exe detach", "sc.exe start", "sc.exe stop",
)  # fmt: skip


@dataclass(frozen=True)
class DriverUnderTest:
    """One minifilter of a stack: where it stands, its files, and how it registers."""

    entry: PlacedEntry
    driver: BuiltDriver
    options: DriverOptions = field(default_factory=DriverOptions)
    registry: tuple[RegistryValue, ...] = ()
    """What it finds in the registry beside what its package gives it."""

    @classmethod
    def of(cls, entry: PlacedEntry, driver: BuiltDriver, options: DriverOptions) -> Self:
        """A minifilter of a stack; one with an INF has the names that are in it, also where nothing installs an INF.

        A black box that stands in the place of another driver keeps its own name.
        """
        named = inf.named(entry, driver.package)
        if driver.package.control is Control.NONE and driver.name != entry.driver and not isinstance(named, NamedEntry):
            service = SERVICE_PREFIX + (driver.name if entry.label == entry.driver else f"{driver.name}-{entry.label}")
            named = NamedEntry(entry.driver, entry.label, entry.altitude, service, service)
        return cls(named, driver, options)

    @property
    def values(self) -> tuple[RegistryValue, ...]:
        """All that is registered for it beside its service and its instance."""
        own = of_parameters(self.driver.package.parameters)
        return (*inf.values(self.entry, self.driver.package), *own, *self.registry)

    @property
    def legacy(self) -> bool:
        """Whether it is a legacy filter: started by its service, and never attached by the filter manager."""
        return self.driver.package.filter is FilterKind.LEGACY

    @property
    def is_black_box(self) -> bool:
        """Whether it is a minifilter that records nothing itself: the reference kernel is asked to."""
        return not self.legacy and self.driver.package.control is Control.NONE


def capturing(stack: Sequence[DriverUnderTest]) -> str | None:
    """The label of the one minifilter of a stack that captures what is printed with DbgPrint; None if none can.

    Any that is built from drivers/common can; an observer is taken first: it is never what a test unloads. Where a
    legacy filter is in the stack it is the lowest, since that is loaded first.
    """
    able = [
        item
        for item in stack
        if item.driver.package.common and item.driver.package.control is Control.FLTLAB and not item.driver.package.inf
    ]
    if any(item.legacy for item in stack):
        able.reverse()
    able.sort(key=lambda item: item.driver.name != OBSERVER)
    return able[0].entry.label if able else None


@dataclass(frozen=True)
class _Command:
    """One line of a batch file, and which minifilter it is about."""

    line: str
    entry: PlacedEntry | None = None
    expected: bool = True
    """Whether it must succeed."""
    may_refuse: bool = False
    """Whether the driver may say that it does not attach: that is an answer, and no failure."""


class Deployment:
    """A stack in a guest, from top to bottom. `files` are put into the guest with it: Windows path -> content."""

    def __init__(
        self,
        guest: Guest,
        stack: Sequence[DriverUnderTest],
        files: Mapping[str, bytes] | None = None,
        volume: str = VOLUME,
    ) -> None:
        self._guest = guest
        self.stack = tuple(stack)
        self._files = dict(files or {})
        self._volume = volume
        self.refused: dict[str, str] = {}
        """Those that do not attach to the volume, by their labels: what the attempt was answered, in words."""
        self.by_hand: set[str] = set()
        """The labels of those that refuse to be attached automatically, and were attached by hand."""

    def deploy(self) -> list[InstanceRow]:
        """Upload, register, load and attach; the guest's instances afterwards.

        Raises DriverError where a minifilter does not load or attach, with what was printed, GuestError where anything
        else fails.
        """
        certificates = self._certificates()
        commands = [_Command(line) for line in trust(list(certificates))]
        if any(inf.comes_by_inf(self._guest, item.driver.package) for item in self.stack):
            self._run("trust", commands, certificates)
            self._install()
            commands, certificates = [], {}
        watch = self._guest.profile.kernel_watch
        if watch is not None:
            watched = [item.entry for item in self.stack if item.is_black_box]
            commands += [_Command(f"{watch} {word(entry.service)}", entry) for entry in watched]
        direct = [item for item in self.stack if not isinstance(item.entry, inf.InstalledEntry)]
        captures = capturing(self.stack)
        for item in direct:
            lines = register(
                item.entry,
                item.driver.package.group,
                item.options,
                captures_prints=item.entry.label == captures,
                legacy=item.legacy,
                values=item.values,
            )
            commands += [_Command(line, item.entry) for line in lines]
        starts = self._starts(captures)
        files = {item.entry.image: item.driver.sys.read_bytes() for item in direct}
        self._guest.drivers_under_test = tuple(item.entry.service for item in self.stack)
        output = self._start(commands, starts, {**self._files, **certificates, **files}, captures)
        instances = self._require_attached(parse_instances(output))
        if self._guest.kind is GuestKind.WINDOWS:
            for item in self.stack:
                inf.start_user_mode(self._guest, item.driver)
        return instances

    def _starts(self, captures: str | None) -> list[_Command]:
        """Load and attach, from the bottom up: each new instance is attached above those that are there."""
        upwards = list(reversed(self.stack))
        attached = [item for item in upwards if not item.legacy and not _attaches_by_itself(item.entry)]
        if any(item.legacy for item in upwards):
            # A legacy filter stands above all that is attached when it starts, so everything comes in its turn.
            return [
                command
                for item in upwards
                for command in (self._load(item), *((self._attach(item.entry),) if item in attached else ()))
            ]
        # The one that captures what the others print comes first.
        upwards.sort(key=lambda item: item.entry.label != captures)
        return [*map(self._load, upwards), *(self._attach(item.entry) for item in attached)]

    def _start(
        self,
        registers: Sequence[_Command],
        starts: Sequence[_Command],
        files: Mapping[str, bytes],
        captures: str | None,
    ) -> str:
        """Register and start the stack; where Windows does not take our signature the guest signs."""
        images = [item.entry.image for item in self.stack if _is_signed_by_us(item)]
        if signs_itself(self._guest.name):
            self._run("register", registers, files)
            sign_in_guest(self._guest, images)
            return self._run("deploy", starts, {}, captures)
        commands = [*registers, *starts]
        try:
            return self._run("deploy", commands, files, captures)
        except SignatureRefused as refused:
            if not can_sign_itself(refused.code):
                raise
            sign_in_guest(self._guest, images, refused)
            return self._run("deploy", commands[refused.command - 1 :], {}, captures)

    def _printed(self, label: str) -> tuple[str, ...]:
        """What drivers have printed until now; empty if `label` did not come to capture it."""
        try:
            _, result = run_probe(self._guest, f"filter {label} prints\n")
        except FltLabError:
            return ()
        found = result.filters[label].prints if label in result.filters else None
        return tuple(f"| DbgPrint: {item.line}" for item in (found.prints if found is not None else ()))

    def _install(self) -> None:
        """Install what comes by an INF, which has names and an altitude of its own."""
        build = inf.build_number(self._guest.identity())
        self.stack = tuple(
            replace(item, entry=inf.install(self._guest, item.entry, item.driver, build))
            if inf.comes_by_inf(self._guest, item.driver.package)
            else item
            for item in self.stack
        )

    def remove(self) -> None:
        """Detach, unload and forget the stack; what is not there any more is no failure."""
        if self._guest.kind is GuestKind.WINDOWS:
            for item in self.stack:
                inf.stop_user_mode(self._guest, item.driver)
        commands: list[_Command] = []
        for item in self.stack:
            entry = item.entry
            detach = f"fltmc.exe detach {word(entry.service)} {self._volume} {word(entry.instance)}"
            if not item.legacy:
                commands += [
                    _Command(detach, entry, expected=False),
                    _Command(f"fltmc.exe unload {word(entry.service)}", entry, expected=False),
                ]
            commands += [
                # Mandatory, for one that has refused. Without one, the service control manager takes note of the end.
                _Command(f"sc.exe stop {word(entry.service)}", entry, expected=False),
            ]
        for item in self.stack:
            if not isinstance(item.entry, inf.InstalledEntry):
                # Not by reg: the service control manager would go on knowing a service whose key is gone.
                commands += [
                    _Command(f"sc.exe delete {item.entry.service}", item.entry, expected=False),
                    _Command(f'del /q "{item.entry.image}"', item.entry, expected=False),
                ]
        left = [row for row in parse_instances(self._run("remove", commands, {})) if self._is_ours(row)]
        if left:
            names = ", ".join(row.filter for row in left)
            raise DriverError(f"{names} could not be detached and unloaded", details=tuple(map(str, left)))
        for item in self.stack:
            if isinstance(item.entry, inf.InstalledEntry):
                inf.uninstall(self._guest, item.entry, item.driver)
        self._guest.drivers_under_test = ()

    def load(self, label: str) -> None:
        """Load one filter of the stack again."""
        self._run("load", [self._load(self._item(label))], {})

    def start(self, label: str) -> None:
        """Load one minifilter of the stack again, and attach it unless it has attached itself by now.

        Whether one does may change with what it finds on a volume, such as a file that it left there.
        """
        missing = self._missing(parse_instances(self._run("load", [self._load(self._item(label))], {})))
        if label not in self.refused and any(item.entry.label == label for item in missing):
            self.attach(label)

    def attach(self, label: str) -> None:
        """Attach one minifilter of the stack again."""
        self._run("attach", [self._attach(self._entry(label))], {})

    def detach(self, label: str) -> None:
        """Detach one minifilter of the stack. DriverError if it refuses."""
        entry = self._entry(label)
        command = f"fltmc.exe detach {word(entry.service)} {self._volume} {word(entry.instance)}"
        self._run("detach", [_Command(command, entry)], {})

    def unload(self, label: str) -> None:
        """Unload one filter of the stack. DriverError if it refuses."""
        item = self._item(label)
        verb = "sc.exe stop" if item.legacy else "fltmc.exe unload"
        self._run("unload", [_Command(f"{verb} {word(item.entry.service)}", item.entry)], {})

    # -- the commands

    def _item(self, label: str) -> DriverUnderTest:
        for item in self.stack:
            if item.entry.label == label:
                return item
        raise KeyError(label)

    def _entry(self, label: str) -> PlacedEntry:
        return self._item(label).entry

    @staticmethod
    def _load(item: DriverUnderTest) -> _Command:
        verb = "sc.exe start" if item.legacy else "fltmc.exe load"
        return _Command(f"{verb} {word(item.entry.service)}", item.entry)

    def _attach(self, entry: PlacedEntry) -> _Command:
        line = f"fltmc.exe attach {word(entry.service)} {self._volume} -i {word(entry.instance)}"
        return _Command(line, entry, may_refuse=True)

    def _certificates(self) -> dict[str, bytes]:
        """The certificates of the stack, each once, by their path in the guest."""
        contents = {item.driver.certificate.read_bytes(): None for item in self.stack if item.driver.certificate}
        folder = PureWindowsPath(self._guest.profile.stack_folder)
        return {str(folder / f"certificate-{number}.cer"): content for number, content in enumerate(contents, start=1)}

    def _run(
        self, name: str, commands: Sequence[_Command], files: Mapping[str, bytes], captures: str | None = None
    ) -> str:
        """Upload files and run commands as a batch file; what the `fltmc instances` behind them printed.

        Where a driver has failed, the error has what the minifilter `captures` captured of DbgPrint.
        """
        path = str(PureWindowsPath(self._guest.profile.stack_folder) / f"{name}.cmd")
        result = self._guest.put_and_run({**files, path: batch(commands)}, path, Wait.DEPLOY)
        done = result.output.split(_MARK)
        number = int(done[-1].split(None, 1)[0]) if len(done) > 1 else 0
        # fltmc's exit codes are not documented: its text tells too.
        for at, printed in enumerate(done[1:], start=1):
            command = commands[at - 1] if at <= len(commands) else None
            if command is None or not command.expected or not command.line.startswith(_FLTMC):
                continue
            failed = parse_failure(printed)
            if command.may_refuse and failed is not None and failed.code == DO_NOT_ATTACH and command.entry is not None:
                self.refused[command.entry.label] = explain(failed.code)
            elif failed is not None:
                raise self._failed(command, at, printed, result, captures)
        if number <= len(commands):
            command = commands[number - 1] if number else _Command(f"cmd.exe /c {path}")
            raise self._failed(command, number, done[-1], result, captures)
        return done[-1].partition("\n")[2]

    def _failed(
        self, command: _Command, number: int, printed: str, result: CommandResult, captures: str | None
    ) -> FltLabError:
        code = code_of(printed, result)
        if self._guest.kind is GuestKind.WINDOWS and signature_code(code) is not None and command.entry is not None:
            (item,) = (item for item in self.stack if item.entry is command.entry)
            about = f"{item.entry.driver} ({item.entry.service})"
            ours = _is_signed_by_us(item)
            error = refusal(
                self._guest, about, item.entry.image, code, _details(command.line, printed, result), ours=ours
            )
            if isinstance(error, SignatureRefused):
                error.command = number
            return error
        error = failure(self._guest, command.line, command.entry, printed, result)
        loaded = command.entry is not None and command.entry.label != captures  # it comes first
        if captures is not None and loaded and isinstance(error, DriverError):
            error.details += self._printed(captures)
        return error

    def _is_ours(self, row: InstanceRow) -> bool:
        return row.filter.casefold() in {item.entry.service.casefold() for item in self.stack}

    def _require_attached(self, instances: list[InstanceRow]) -> list[InstanceRow]:
        """The instances as the stack says, by their altitudes; who refuses automatic attachment is attached by hand."""
        for item in self._missing(instances):
            if _attaches_by_itself(item.entry):
                self.by_hand.add(item.entry.label)
                try:
                    instances = parse_instances(self._run("by-hand", [self._attach(item.entry)], {}))
                except DriverError as error:
                    self.refused[item.entry.label] = error.answer
        self.by_hand -= self.refused.keys()
        for item in self._missing(instances):
            if item.entry.label not in self.refused:
                raise GuestError(
                    f"{item.entry.service} is not attached at altitude {item.entry.altitude} after its deployment",
                    details=tuple(f"| {row}" for row in instances),
                    hint="fltlab image verify compares what fltmc prints in this guest with what is expected",
                )
        return instances

    def _missing(self, instances: Sequence[InstanceRow]) -> list[DriverUnderTest]:
        """Those that have no instance on the volume; one on another volume sees nothing of what is done on this."""
        volume = self._volume.casefold()
        here = (row for row in instances if row.instance and row.volume.casefold() == volume)
        found = {(row.filter.casefold(), row.place) for row in here}
        minifilters = (item for item in self.stack if not item.legacy)
        return [item for item in minifilters if (item.entry.service.casefold(), item.entry.altitude) not in found]


def _attaches_by_itself(entry: PlacedEntry) -> bool:
    return isinstance(entry, NamedEntry) and entry.attaches_by_itself


def batch(commands: Sequence[_Command]) -> bytes:
    """A batch file that stops at the first command that fails, and lists the instances at its end."""
    lines = ["@echo off"]
    for number, command in enumerate(commands, start=1):
        stop = " || exit /b" if command.expected and not command.may_refuse else ""
        lines += [f"echo {_MARK}{number}", command.line + stop]
    lines += [f"echo {_MARK}{len(commands) + 1}", "fltmc.exe instances"]
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def failure(guest: Guest, command: str, entry: PlacedEntry | None, printed: str, result: CommandResult) -> FltLabError:
    """The error for one command of a batch that has failed."""
    about = f"{entry.driver} ({entry.service})" if entry is not None else "the deployment"
    code, details = code_of(printed, result), _details(command, printed, result)
    if entry is not None and command.startswith(_WHAT_THE_DRIVER_DOES):
        verb = command.split()[1]
        hint = probable_cause(code, printed + result.errors)
        answer = explain(code)
        message = f"{about} could not be {_PARTICIPLES[verb]}: {answer}"
        return DriverError(message, details=details, hint=hint, answer=answer)
    return GuestError(f"{about} could not be registered in the guest {guest.name!r}", details=details)


def code_of(printed: str, result: CommandResult) -> int:
    """The code that a failed command printed; its exit code where it printed none."""
    known = parse_failure(printed)
    codes = [known.code] if known else [int(code, 16) for code in re.findall(r"0x([0-9a-fA-F]{8})", printed)[:1]]
    return codes[0] if codes else result.exit_code


def _details(command: str, printed: str, result: CommandResult) -> tuple[str, ...]:
    lines = [line.strip() for line in (printed.partition("\n")[2] + result.errors).splitlines() if line.strip()]
    return (
        f"command: {shorten(command)}",
        f"code: {explain(code_of(printed, result))}",
        *(f"| {line}" for line in lines),
    )


def _is_signed_by_us(item: DriverUnderTest) -> bool:
    return item.driver.package.binary is None and not isinstance(item.entry, inf.InstalledEntry)


_PARTICIPLES = {
    "load": "loaded",
    "attach": "attached",
    "unload": "unloaded",
    "detach": "detached",
    "start": "started",
    "stop": "stopped",
}
