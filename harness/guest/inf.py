r"""A user's own driver in a Windows guest: installed by its INF, with its user-mode service and its client's commands.

Since Windows 10 1903 pnputil installs a driver whose DefaultInstall names the architecture; before that, and for other
INFs, setupapi does. setupapi tells nothing of what it did, so the service is looked for afterwards.

The files of a package are in C:\fltlab\drivers\<name>; its commands are run there.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from harness.errors import ConfigurationError, DriverError, FltLabError, GuestError
from harness.guest.command import CommandResult
from harness.guest.guest import Guest
from harness.guest.identity import Identity
from harness.guest.profiles import GuestKind
from harness.guest.registration import quoted
from harness.guest.signature import refusal, signature_code
from harness.guest.stack import NamedEntry, PlacedEntry
from harness.machine.deadlines import Wait
from harness.minifilter.build import BuiltDriver
from harness.minifilter.inf import REFERENCE_BUILD, Inf, stamped
from harness.minifilter.package import DriverPackage
from harness.minifilter.registry import RegistryValue, of_inf

PNPUTIL_SINCE = 18362
PNPUTIL_DONE = {0, 259, 3010}
"""Success; nothing is a device of it, as for every minifilter; success, with a restart pending for what is loaded."""

_PUBLISHED = re.compile(r"\boem\d+\.inf\b", re.IGNORECASE)


@dataclass(frozen=True)
class InstalledEntry(NamedEntry):
    """An entry of a stack that its INF has installed. `published` is what pnputil called the INF."""

    published: str | None = None


def comes_by_inf(guest: Guest, package: DriverPackage) -> bool:
    """Whether a driver is installed by its INF in this guest; the reference guest has no setup and registers it."""
    return guest.kind is GuestKind.WINDOWS and package.inf is not None


def named(entry: PlacedEntry, package: DriverPackage) -> PlacedEntry:
    """The entry with the service and the instance of its INF, where it has one; at the altitude of the stack."""
    if package.inf is None or isinstance(entry, NamedEntry):
        return entry
    inf = Inf.read(package.path(package.inf))
    first = inf.instances(REFERENCE_BUILD)[0]
    service = inf.service(REFERENCE_BUILD)
    return NamedEntry(entry.driver, entry.label, entry.altitude, service, first.name, first.attaches_by_itself)


def values(entry: PlacedEntry, package: DriverPackage) -> Iterator[RegistryValue]:
    """What an INF adds to the registry, for a guest that installs none; the altitude is that of the stack."""
    if package.inf is None:
        return
    altitudes = {rf"{root}Instances\{entry.instance}".casefold() for root in ("", "Parameters\\")}
    for value in of_inf(Inf.read(package.path(package.inf)), REFERENCE_BUILD):
        if value.key.casefold() not in altitudes or value.name.casefold() != "altitude":
            yield value


def build_number(identity: Identity) -> int:
    """The build of the Windows that answered; its identity says `10.0.26100`."""
    number = str(identity.facts.get("build", "")).rpartition(".")[2]
    if not number.isdigit():
        raise GuestError("the guest does not say which build of Windows it is", details=(str(identity.facts),))
    return int(number)


def install(guest: Guest, entry: PlacedEntry, driver: BuiltDriver, build: int) -> InstalledEntry:
    """Install a driver by its INF, its catalog's certificate trusted already; the entry as the INF has it.

    ConfigurationError for an INF or a package that cannot be right, DriverError where Windows refuses it.
    """
    package = driver.package
    assert package.inf is not None
    inf = Inf.read(package.path(package.inf))
    if (device := inf.device(build)) is not None:
        raise ConfigurationError(
            f"{inf.name} has no DefaultInstall section for this Windows, build {build}",
            hint=f"Windows would install it for a device {device} alone: a minifilter wants [DefaultInstall.NTamd64]",
        )
    folder = _folder(package)
    guest.put_all({str(folder / name): content for name, content in _files(driver, inf).items()}, Wait.DEPLOY)
    first = inf.instances(build)[0]
    if first.altitude is None:
        raise ConfigurationError(
            f"{inf.name} gives the instance {first.name!r} no altitude yet",
            hint="replace _TODO_Change_Altitude_appropriately_ by yours",
        )
    path, published = str(folder / package.inf.name), None
    if build >= PNPUTIL_SINCE and inf.is_primitive(build):
        command = f"pnputil.exe /add-driver {quoted(path)} /install"
        result = guest.run(command, timeout=Wait.DEPLOY)
        found = _PUBLISHED.search(result.output)
        if result.exit_code not in PNPUTIL_DONE or found is None:
            raise _refused(guest, driver, result)
        published = found[0].lower()
    else:
        command = f"rundll32.exe setupapi.dll,InstallHinfSection DefaultInstall 132 {path}"
        result = guest.run(command, timeout=Wait.DEPLOY)
    service = inf.service(build)
    if not guest.run(f"sc.exe query {quoted(service)}").ok:
        raise _refused(guest, driver, result)
    return InstalledEntry(
        *(entry.driver, entry.label, first.altitude, service, first.name, first.attaches_by_itself, published)
    )


def uninstall(guest: Guest, entry: InstalledEntry, driver: BuiltDriver) -> None:
    """Take an installed driver away again, after it was unloaded. GuestError if pnputil cannot."""
    package = driver.package
    assert package.inf is not None
    if entry.published is not None:
        result = guest.run(f"pnputil.exe /delete-driver {entry.published} /uninstall /force", timeout=Wait.DEPLOY)
        if result.exit_code not in PNPUTIL_DONE:
            raise GuestError(f"{driver.name} could not be uninstalled", details=result.describe())
        return
    path = _folder(package) / package.inf.name
    guest.run(f"rundll32.exe setupapi.dll,InstallHinfSection DefaultUninstall 132 {path}", timeout=Wait.DEPLOY)
    guest.run(f"sc.exe delete {quoted(entry.service)}")  # most INFs for setupapi have no uninstall section


def start_user_mode(guest: Guest, driver: BuiltDriver) -> None:
    """Start the driver's service and run its client's `start` commands; DriverError where one of them fails."""
    package = driver.package
    if package.files or package.service:
        beside = [*package.files, *([binary] if (binary := _service_binary(package)) is not None else [])]
        files = {str(_folder(package) / path.name): package.path(path).read_bytes() for path in beside}
        guest.put_all(files, Wait.DEPLOY)
    if package.service is not None and (binary := _service_binary(package)) is not None:
        image = _folder(package) / binary.name
        line = f"{image} {package.service.arguments}".strip()
        _run(guest, driver, [f"sc.exe create {package.service.name} start= demand binPath= {quoted(line)}"])
        _run(guest, driver, [f"sc.exe start {package.service.name}"])
    _run(guest, driver, [_in_folder(package, command) for command in package.start])


def stop_user_mode(guest: Guest, driver: BuiltDriver) -> None:
    """Run the client's `stop` commands, and stop and remove the service; what is not there any more is no failure."""
    package = driver.package
    for command in package.stop:
        guest.run(_in_folder(package, command), timeout=Wait.DEPLOY)
    if _service_binary(package) is not None and package.service is not None:
        guest.run(f"sc.exe stop {package.service.name}", timeout=Wait.DEPLOY)
        guest.run(f"sc.exe delete {package.service.name}")


def _service_binary(package: DriverPackage) -> Path | None:
    """The program of a driver's Windows service; one without a name is a process that a test starts."""
    return package.service.binary if package.service is not None and package.service.name is not None else None


def _files(driver: BuiltDriver, inf: Inf) -> dict[str, bytes]:
    """What goes into the guest's folder: the INF, its catalog, and every file that it names."""
    package = driver.package
    assert package.inf is not None
    if inf.catalog is not None and package.catalog is None:
        raise ConfigurationError(
            f"{inf.name} names the catalog {inf.catalog}, and driver.yaml has none",
            hint="catalog: in driver.yaml; inf2cat makes one, and it must be signed",
        )
    here = {package.path(path).name.lower(): package.path(path) for path in package.files}
    here |= {package.path(path).name.lower(): package.path(path) for path in (package.catalog,) if path is not None}
    content = {package.inf.name: stamped(package.path(package.inf).read_bytes())}
    content |= {path.name: path.read_bytes() for path in here.values()}
    for name in inf.files:
        if name.lower() in here:
            continue
        if not name.lower().endswith(".sys"):
            raise ConfigurationError(f"{inf.name} wants {name}, which driver.yaml does not name", hint="files: [...]")
        content[name] = driver.sys.read_bytes()
    return content


def _folder(package: DriverPackage) -> PureWindowsPath:
    return PureWindowsPath(r"C:\fltlab\drivers") / package.name


def _in_folder(package: DriverPackage, command: str) -> str:
    return f'cmd.exe /c "cd /d {_folder(package)} && {command}"'


def _run(guest: Guest, driver: BuiltDriver, commands: Sequence[str]) -> None:
    for command in commands:
        result = guest.run(command, timeout=Wait.DEPLOY)
        if not result.ok:
            raise DriverError(f"a command of {driver.name} failed in the guest", details=result.describe())


def _refused(guest: Guest, driver: BuiltDriver, result: CommandResult) -> FltLabError:
    package = driver.package
    if signature_code(result.exit_code) is not None and package.inf is not None:
        named = package.catalog or package.inf
        image = str(_folder(package) / package.path(named).name)
        return refusal(guest, f"the package of {driver.name}", image, result.exit_code, result.describe(), ours=False)
    return DriverError(
        f"{driver.name} could not be installed by its INF",
        details=result.describe(),
        hint=r"C:\Windows\INF\setupapi.dev.log in the guest; the catalog's certificate goes into driver.yaml",
    )
