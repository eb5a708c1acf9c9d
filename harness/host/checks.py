"""What `fltlab doctor` asks about this machine: one function for each question, each with what to do about a "no"."""

import getpass
import os
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.errors import FltLabError
from harness.host.accelerator import KVM_DEVICE, Accelerator, probe
from harness.host.directories import HOME_VARIABLE, home
from harness.host.disk import free_mib
from harness.host.features import CAPABILITIES, COMMANDS, WINDOWS_DEVICES, missing_features
from harness.host.memory import processors, read_memory
from harness.host.ports import loopback_works
from harness.host.tools import Tool, find_first, version_of
from harness.minifilter.toolchain import find_toolchain

DISK_MIB = 4096
MEMORY_MIB = 1024
OPEN_FILES = 1024
OLDEST_QEMU = (7, 2)
BUILD_PACKAGES = ("clang-19", "lld-19", "llvm-19", "mingw-w64-x86-64-dev", "osslsigncode")
OPTIONAL_FEATURES = frozenset({*WINDOWS_DEVICES, *CAPABILITIES, *COMMANDS})
WINDOWS_TOOLS = (Tool.QEMU_IO, Tool.QEMU_STORAGE_DAEMON, Tool.FUSERMOUNT, Tool.NTFSCAT, Tool.NTFSCP, Tool.NTFSLS)
FIRMWARE = (Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_CODE.fd"))


class Status(StrEnum):
    """How a question was answered."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """An answer: what was asked, what was found, what to do, and the command that does it where there is one."""

    name: str
    status: Status
    found: str
    remedy: str | None = None
    fix: tuple[str, ...] | None = None


def check_qemu() -> Check:
    """Whether QEMU is there and new enough."""
    version = version_of(Tool.QEMU)
    if version is None:
        return _missing(Tool.QEMU, Status.FAILED)
    numbers = tuple(int(number) for number in version.split(".")[:2])
    if numbers < OLDEST_QEMU:
        return Check("qemu", Status.FAILED, f"QEMU {version}", "QEMU 7.2 or newer is needed: Debian 12, Ubuntu 23.04")
    return Check("qemu", Status.OK, f"QEMU {version}")


def check_accelerator() -> Check:
    """Which accelerator runs guest code: KVM, or TCG, which is slower but needs nothing."""
    if Tool.QEMU.find() is None:
        return Check("accelerator", Status.FAILED, "no QEMU to try one with", "install QEMU first")
    kvm = probe(Accelerator.KVM)
    if kvm.works:
        return Check("accelerator", Status.OK, kvm.explanation)
    tcg = probe(Accelerator.TCG)
    if not tcg.works:
        return Check("accelerator", Status.FAILED, f"{kvm.explanation}; {tcg.explanation}", "reinstall QEMU")
    found = f"{tcg.explanation}; {kvm.explanation}"
    if KVM_DEVICE.exists() and not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        join = ("adduser", getpass.getuser(), "kvm")
        return Check("accelerator", Status.WARNING, found, f"{' '.join(join)}, and log in again", join)
    return Check(
        "accelerator", Status.WARNING, found, "the reference guest is quick under TCG; Windows guests want KVM"
    )


def check_tools() -> list[Check]:
    """Whether the programs that make images and machines are there."""
    needed = (
        Tool.QEMU_IMG,
        Tool.MMDEBSTRAP,
        Tool.MKFS_EROFS,
        Tool.MKE2FS,
        Tool.DEBUGFS,
        Tool.DPKG_DEB,
        Tool.LZ4,
        Tool.SETPRIV,
    )
    return [
        Check(tool.program.name, Status.OK, f"{found} {version_of(tool) or ''}".rstrip())
        if (found := tool.find())
        else _missing(tool, Status.FAILED)
        for tool in needed
    ]


def check_features() -> Check:
    """Whether QEMU was built with everything that fltlab asks of it."""
    if Tool.QEMU.find() is None:
        return Check("features", Status.FAILED, "no QEMU to ask", "install QEMU first")
    try:
        missing = missing_features()
    except FltLabError as error:
        return Check("features", Status.FAILED, str(error), "reinstall QEMU")
    if not missing:
        return Check("features", Status.OK, "QEMU has every device, filter and command that is used")
    lacking = ", ".join(f"{name} ({purpose})" for name, purpose in missing.items())
    status = Status.WARNING if set(missing) <= OPTIONAL_FEATURES else Status.FAILED
    return Check("features", status, f"QEMU lacks {lacking}", "install QEMU as the distribution builds it")


def check_toolchain() -> Check:
    """Whether drivers can be built: clang, lld, the headers of Windows, and what signs."""
    find_toolchain.cache_clear()
    try:
        found = find_toolchain()
    except FltLabError as error:
        return Check(
            "toolchain",
            Status.WARNING,
            f"test minifilters cannot be built: {error.message}",
            error.hint or f"apt-get install {' '.join(BUILD_PACKAGES)}",
            ("apt-get", "install", "--yes", *BUILD_PACKAGES),
        )
    return Check("toolchain", Status.OK, f"{found.clang}: {found.version}")


def check_memory() -> Check:
    """Whether a guest fits into memory."""
    memory = read_memory()
    found = f"{memory.available} of {memory.total} MiB free, {processors()} processors"
    if memory.available < MEMORY_MIB:
        return Check("memory", Status.FAILED, found, f"a guest needs {MEMORY_MIB} MiB: end something")
    return Check("memory", Status.OK, found)


def check_disk() -> Check:
    """Whether images and templates fit on the disk."""
    free = free_mib(home())
    found = f"{free} MiB free for {home()}"
    if free < DISK_MIB:
        remedy = f"{DISK_MIB} MiB are needed: free some room, or set {HOME_VARIABLE} to a directory on another disk"
        return Check("disk", Status.FAILED, found, remedy)
    return Check("disk", Status.OK, found)


def check_home() -> Check:
    """Whether fltlab's own directory can be written."""
    path = home()
    existing = path
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK | os.X_OK):
        return Check("home", Status.FAILED, f"{existing} cannot be written", f"set {HOME_VARIABLE} to one that can")
    return Check("home", Status.OK, str(path))


def check_ports() -> Check:
    """Whether guests can be reached over the loopback interface."""
    if loopback_works():
        return Check("ports", Status.OK, "127.0.0.1 can be listened on and reached")
    return Check(
        "ports", Status.FAILED, "127.0.0.1 cannot be reached", "bring the loopback interface up: ip link set lo up"
    )


def check_open_files() -> Check:
    """Whether enough files can be open at once for several guests."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{soft} open files (at most {hard})"
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES:
        return Check("open files", Status.WARNING, found, f"ulimit -n {OPEN_FILES}")
    return Check("open files", Status.OK, found)


def check_windows() -> list[Check]:
    """What Windows guests need beside: firmware, and a TPM for those who want one."""
    firmware = next((path for path in FIRMWARE if path.exists()), None)
    swtpm = find_first(("swtpm",))
    return [
        Check("firmware", Status.OK, str(firmware))
        if firmware
        else _optional("firmware", "no OVMF: Windows guests cannot boot", "ovmf"),
        Check("tpm", Status.OK, str(swtpm))
        if swtpm
        else _optional("tpm", "no swtpm: Windows guests have no TPM, which most do not need", "swtpm"),
        *(
            Check(tool.program.name, Status.OK, str(found))
            if (found := tool.find())
            else _missing(tool, Status.WARNING)
            for tool in WINDOWS_TOOLS
        ),
    ]


_SINGLE: Sequence[Callable[[], Check]] = (
    check_qemu,
    check_features,
    check_accelerator,
    check_toolchain,
    check_memory,
    check_disk,
    check_home,
    check_ports,
    check_open_files,
)


def host_checks() -> list[Check]:
    """Answer every question about this machine."""
    return [*(check() for check in _SINGLE), *check_tools(), *check_windows()]


def _missing(tool: Tool, status: Status) -> Check:
    program = tool.program
    install = ("apt-get", "install", "--yes", program.package)
    return Check(
        program.name, status, f"not installed; it {program.purpose}", f"apt-get install {program.package}", install
    )


def _optional(name: str, found: str, package: str) -> Check:
    return Check(name, Status.WARNING, found, f"apt-get install {package}", ("apt-get", "install", "--yes", package))
