r"""The user-mode parts of the drivers under test: programs that are put into the guest and run beside the I/O.

On a reference guest a program finds what it imports from kernel32, advapi32 and the C runtime in a library of ours
(drivers/userland); on Windows it finds Windows.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath

from harness.fleet.drivers import Drivers
from harness.guest import Guest
from harness.guest.background import BackgroundProgram, ProgramUnderTest, start
from harness.machine.deadlines import Wait
from harness.minifilter.build import BuiltDriver
from harness.minifilter.package import UserService

FOLDER = PureWindowsPath(r"C:\fltlab")
LIBRARY = "userland"
LIBRARY_PATH = r"C:\Windows\System32\userland.dll"


def services_of(drivers: Sequence[BuiltDriver]) -> list[tuple[BuiltDriver, UserService]]:
    """The drivers that have a user-mode part, and what it is."""
    return [(item, item.package.service) for item in drivers if item.package.service is not None]


def start_services(guest: Guest, drivers: Sequence[BuiltDriver], source: Drivers) -> list[BackgroundProgram]:
    """Start the user-mode parts of these drivers, and wait until each is ready.

    On Windows a service with a name was installed and started with its driver. TestError if one does not become ready.
    """
    wanted = [item for item in services_of(drivers) if item[1].name is None or guest.profile.is_reference]
    programs = [service.program for _, service in wanted if service.program is not None]
    built: Mapping[str, BuiltDriver] = source.build(programs) if programs else {}
    started = []
    for driver, service in wanted:
        if service.program is not None:
            file = built[service.program].sys
        else:
            assert service.binary is not None
            file = driver.package.path(service.binary)
        others = {path.name: driver.package.path(path) for path in driver.package.files}
        started.append(start_program(guest, source, file, service, others))
    return started


def start_program(
    guest: Guest, source: Drivers, file: Path, service: UserService, others: Mapping[str, Path] | None = None
) -> BackgroundProgram:
    """Put a program into a guest, with files beside it, and start it; TestError if it does not become ready."""
    image = str(FOLDER / file.name)
    files = {str(FOLDER / name): path.read_bytes() for name, path in (others or {}).items()}
    files[image] = file.read_bytes()
    if guest.profile.is_reference:
        files[LIBRARY_PATH] = source.build([LIBRARY])[LIBRARY].sys.read_bytes()
    guest.put_all(files, Wait.DEPLOY)
    line = f"{image} {service.arguments}".strip()
    return start(
        guest, ProgramUnderTest(line, ready=service.ready, seconds=service.seconds, service=service.name or "")
    )
