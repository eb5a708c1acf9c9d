"""The process of a reference kernel: JSON lines on standard input and output, one answer to each request.

    {"id": 1, "op": "load", "service": "fltlab-above", "image": "/…/above.sys", "registry": {…}}
    {"id": 1, "ok": true, "result": {}}

A refusal carries `ntstatus` and `message`. Once the kernel has stopped, every answer carries `bugcheck` or `hang`.
Started as `python -m harness.reference.process.host --volume DIR`; it ends with its standard input.
"""

import argparse
import base64
import json
import resource
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn, TextIO

from harness.nt import BugCheck, NtStatus, bugcheck_name, status_name
from harness.reference.machine.loader.loader import LoadError
from harness.reference.machine.stop import MachineStop
from harness.reference.windows.fltmgr import attachment, filter_services
from harness.reference.windows.fltmgr.filter_services import Service
from harness.reference.windows.fltmgr.filters import Filter, Instance
from harness.reference.windows.io.volumes import Volume
from harness.reference.windows.kernel import Kernel
from harness.reference.windows.verifier.stop import BugCheckKind, BugCheckStop

VOLUME_NAME = "V:"
GRACE_TICKS = 10_000_000
"""How long a process may take to end once it has been told to: 1 s of virtual time. It may hang in its I/O for ever."""
LAST_LINES = 100
USAGE_ERROR = 2


class RefusedError(Exception):
    """A request that was answered with a failure status."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message or status_name(status))
        self.status = status


class Host:
    """A kernel and what can be asked of it."""

    def __init__(self, system: Kernel) -> None:
        self._system = system
        self._operations: Mapping[str, Callable[..., dict[str, Any]]] = {
            "load": self.load,
            "unload": self.unload,
            "attach": self.attach,
            "detach": self.detach,
            "filters": self.filters,
            "drivers": self.drivers,
            "instances": self.instances,
            "volumes": self.volumes,
            "services": self.services,
            "run": self.run,
            "status": self.status,
        }

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a request asks; its answer without the id."""
        arguments = {key: value for key, value in request.items() if key not in ("id", "op")}
        operation = self._operations.get(str(request.get("op")))
        if operation is None:
            return {"ok": False, "message": f"there is no operation {request.get('op')!r}"}
        try:
            return {"ok": True, "result": operation(**arguments)}
        except MachineStop as stop:
            return self._stopped(stop)
        except RefusedError as refused:
            return {"ok": False, "ntstatus": refused.status, "message": str(refused)}
        except (OSError, TypeError) as error:
            return {"ok": False, "ntstatus": int(NtStatus.UNSUCCESSFUL), "message": f"{type(error).__name__}: {error}"}

    def _stopped(self, stop: MachineStop) -> dict[str, Any]:
        kind = "bugcheck" if isinstance(stop, BugCheckStop) else "hang"
        answer = {"ok": False, kind: stop.as_json(), "message": str(stop), **self._evidence()}
        if isinstance(stop, BugCheckStop) and stop.kind is BugCheckKind.KERNEL_FAULT:
            answer["traceback"] = traceback.format_exception(stop.__cause__ or stop)
        return answer

    def _evidence(self) -> dict[str, Any]:
        k = self._system
        return {
            "seed": k.seed,
            "findings": [finding.as_json() for finding in k.verifier.findings],
            "log": k.log[-LAST_LINES:],
            "trace": [f"{entry.time} {entry.thread} {entry.what}" for entry in k.trace.entries[-LAST_LINES:]],
        }

    # -- operations

    def load(self, service: str, image: str, registry: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Load the driver of a service: its image, a path of the host, and the content of its registry key."""
        k = self._system
        path = Path(image)
        k.services[service.lower()] = Service(service, path, registry or {})
        self._check_open_to_use()
        status, message = k.run(filter_services.load(k, service, path.read_bytes(), registry or {}), f"load {service}")
        return self._expect(status, message)

    def unload(self, service: str, mandatory: bool = False) -> dict[str, Any]:
        """Unload a minifilter; `mandatory` as when its service is stopped."""
        k = self._system
        self._check_open_to_use()
        return self._expect(k.run(filter_services.unload(k, service, mandatory=mandatory), f"unload {service}"))

    def attach(
        self, service: str, volume: str, instance: str | None = None, altitude: str | None = None
    ) -> dict[str, Any]:
        """Attach an instance; the result names it."""
        k = self._system
        found, place = self._find(service, volume)
        before = set(found.instances)
        self._expect(k.run(attachment.attach_manually(k, found, place, instance, altitude), f"attach {service}"))
        return {"instance": next(item.name for item in found.instances if item not in before)}

    def detach(self, service: str, volume: str, instance: str | None = None) -> dict[str, Any]:
        """Detach an instance."""
        k = self._system
        found, place = self._find(service, volume)
        item = attachment.find_instance(found, place, instance)
        if item is None:
            raise RefusedError(int(NtStatus.FLT_INSTANCE_NOT_FOUND))
        return self._expect(k.run(attachment.detach_manually(k, item), f"detach {service}"))

    def drivers(self) -> dict[str, Any]:
        """The services whose drivers are loaded, minifilters or not."""
        self._check_open_to_use()
        return {"drivers": [driver.name for driver in self._system.drivers.loaded.values()]}

    def filters(self) -> dict[str, Any]:
        """The registered filters, as `fltmc filters` shows them."""
        self._check_open_to_use()
        return {
            "filters": [
                {
                    "name": item.name,
                    "instances": len(item.instances),
                    "altitude": _default_altitude(self._system, item),
                    "frame": item.frame.number,
                }
                for item in self._system.flt.filters.values()
            ]
        }

    def instances(self) -> dict[str, Any]:
        """The attached instances, highest altitude first."""
        self._check_open_to_use()
        return {
            "instances": [
                _instance(item) for volume in self._system.io.volumes for item in self._system.flt.on(volume).instances
            ]
        }

    def volumes(self) -> dict[str, Any]:
        """The mounted volumes."""
        self._check_open_to_use()
        return {
            "volumes": [
                {"dos_name": item.dos_name, "name": item.device_name, "file_system": "NTFS"}
                for item in self._system.io.volumes
            ]
        }

    def services(self, services: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Tell which services are registered: `{name: {"image": path, "registry": {…}}}`."""
        self._system.services = {
            name.lower(): Service(name, Path(item["image"]), item["registry"]) for name, item in services.items()
        }
        return {}

    def run(self, image: str, args: Sequence[str] = (), stdin: str = "") -> dict[str, Any]:
        """Run a program to its end; `exit_code`, `stdout` (base64), and the threads that `remain` in their I/O.

        `findings` is how many the verifier has made so far, so that nobody needs to ask for them after every program.
        """
        k = self._system
        self._check_open_to_use()
        try:
            program = k.programs.start(image, Path(image).read_bytes(), args, base64.b64decode(stdin))
        except LoadError as error:
            raise RefusedError(int(error.status), error.message) from error
        k.run_while(lambda: program.exit_status is None)
        grace = {"over": False}
        timer = k.timer(GRACE_TICKS, lambda: grace.update(over=True))
        k.run_while(lambda: not program.ended.state and not grace["over"])
        timer.cancel()
        remain = [] if program.ended.state else [waiter.waits_for for waiter in k.scheduler.waiting_threads()]
        if remain:
            k.flt.report_outstanding()
            self._report_blocked()
        else:
            k.settle()
        return {
            "exit_code": program.exit_status,
            "stdout": base64.b64encode(program.output.data).decode(),
            "remain": remain,
            "findings": len(k.verifier.findings),
        }

    def status(self) -> dict[str, Any]:
        """What the kernel is, and what its verifier has found."""
        self._check_open_to_use()
        k = self._system
        return {
            "mutants": sorted(k.mutants),
            "policy": k.policy.as_dict(),
            "processors": len(k.processors),
            "time": k.now,
            "digest": k.trace.digest,
            "drivers": [driver.name for driver in k.drivers.loaded.values()],
            **self._evidence(),
        }

    # -- what they share

    def _report_blocked(self) -> None:
        """Name the drivers that have a thread of the program and do not let it come back."""
        drivers = {driver.name for driver in self._system.drivers.loaded.values()}
        for waiter in self._system.scheduler.waiting_threads():
            driver = (waiter.location or "").split("+")[0]
            if driver in drivers:
                text = f"does not come back: at {waiter.location} thread {waiter.thread} waits for {waiter.waits_for}"
                self._system.verifier.report(None, driver, text)

    def _check_open_to_use(self) -> None:
        if self._system.stop is not None:
            raise self._system.stop

    def _find(self, service: str, volume: str) -> tuple[Filter, Volume]:
        self._check_open_to_use()
        found = self._system.flt.filter_named(service)
        if found is None:
            raise RefusedError(int(NtStatus.FLT_FILTER_NOT_FOUND))
        place = self._system.io.volume_named(volume)
        if place is None:
            raise RefusedError(int(NtStatus.FLT_VOLUME_NOT_FOUND))
        return found, place

    @staticmethod
    def _expect(status: int, message: str = "") -> dict[str, Any]:
        if status & 0x8000_0000:
            raise RefusedError(status, message)
        return {}


def _default_altitude(k: Kernel, item: Filter) -> str:
    if item.instances:
        return item.instances[0].altitude_text
    listed = attachment.definitions(k, item)
    return listed[0].altitude if listed else ""


def _instance(item: Instance) -> dict[str, Any]:
    return {
        "filter": item.filter.name,
        "volume": item.volume.dos_name,
        "altitude": item.altitude_text,
        "instance": item.name,
        "frame": item.frame.number,
        "features": 0,
    }


def fault(error: BaseException) -> dict[str, Any]:
    """The answer when this program itself has failed."""
    code = BugCheck.FLTMGR_FILE_SYSTEM
    text = f"the reference kernel failed: {type(error).__name__}: {error}"
    stop = {
        "code": int(code), "name": bugcheck_name(code), "parameters": [0, 0, 0, 0], "driver": None, "message": text,
        "rule": None, "kind": str(BugCheckKind.KERNEL_FAULT), "location": None,
    }  # fmt: skip
    return {"ok": False, "bugcheck": stop, "message": text, "traceback": traceback.format_exception(error)}


def serve(host: Host, requests: TextIO, answers: TextIO) -> None:
    """Answer requests until there are no more, or one asks for the end."""
    for line in requests:
        request = json.loads(line)
        if request.get("op") == "shutdown":
            answer: dict[str, Any] = {"ok": True, "result": {}}
        else:
            try:
                answer = host.answer(request)
            except Exception as error:  # noqa: BLE001 - whatever it is, who asked is told
                answer = fault(error)
        answers.write(json.dumps({"id": request.get("id"), **answer}) + "\n")
        answers.flush()
        if request.get("op") == "shutdown":
            return


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
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processors", type=int, default=2)
    parser.add_argument("--mutant", action="append", default=[])
    parser.add_argument("--policy", action="append", type=_policy, default=[])
    parser.add_argument("--file-system", type=Path, help="the .sys of a file system that V: is mounted by")
    parser.add_argument("--disk", type=Path, help="the image of a disk with that file system; a copy of it is used")
    options = parser.parse_args(arguments)
    _allow_open_files()
    if not options.volume.is_dir():
        parser.error(f"{options.volume} is no directory")
    if (options.file_system is None) is not (options.disk is None):
        parser.error("--file-system and --disk go together")
    image = _copy(options.disk) if options.disk is not None else None
    try:
        system = Kernel(
            volumes={VOLUME_NAME: options.volume} if image is None else {},
            disks={VOLUME_NAME: image} if image is not None else {},
            seed=options.seed,
            processors=options.processors,
            mutants=options.mutant,
            policy=dict(options.policy),
        )
    except ValueError as error:
        parser.error(str(error))
    if image is not None:
        _mount(system, options.file_system)
    serve(Host(system), sys.stdin, sys.stdout)


def _copy(image: Path) -> Path:
    """A copy of a disk that nobody else sees, and that goes with this process."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
    with image.open("rb") as source:
        shutil.copyfileobj(source, copy)
    copy.flush()
    _KEPT.append(copy)
    return Path(f"/proc/self/fd/{copy.fileno()}")


_KEPT: list[IO[bytes]] = []


def _mount(system: Kernel, driver: Path) -> None:
    """Load a file system's driver and have it mount V:; ends the process with what is wrong if it does not."""
    status = system.run(system.drivers.load(driver.stem, driver.read_bytes()), f"load {driver.stem}")
    if not status & 0x8000_0000:
        status = system.run(system.io.file_systems.mount(system.io.volumes[0].disk_device), f"mount {VOLUME_NAME}")
    if status & 0x8000_0000:
        sys.exit(f"{driver.name} does not mount the disk: {status:#010x}")


if __name__ == "__main__":
    main()
