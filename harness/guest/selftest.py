"""The self-test of a guest: what a run will rely on, asked one by one, and the exact difference where it is not so.

Most of what fltlab knows of Windows was read and not tried: this is where a real Windows says whether it is so. Each
check keeps the raw text that it judged.
"""

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import FltLabError
from harness.guest.command import CommandResult
from harness.guest.guest import Guest
from harness.guest.profiles import GuestKind, powershell
from harness.guest.words import boot_options, build_of, is_yes
from harness.minifilter.fltmc import parse_failure, parse_filters, parse_instances
from harness.text import safe_line

CLOCK_TOLERANCE = 10.0
MIB = 1 << 20
NOBODY = "fltlab-nobody"
"""A service that does not exist."""


@dataclass(frozen=True)
class Expectation:
    """What is known of a guest before it is asked; None where nothing is."""

    build: int | None = None
    renamed: tuple[int, ...] = ()
    """Builds that the same files may say they are: an enablement package changes the number, 22621 to 22631."""

    test_signing: bool | None = None
    secure_boot: bool | None = None
    file_system: str | None = None
    language: str | None = None


@dataclass(frozen=True)
class Finding:
    """The outcome of one check. `difference` is "" where all is as expected; `raw` is what the guest said."""

    check: str
    measured: str
    difference: str = ""
    raw: tuple[str, ...] = ()
    hint: str = ""

    def __post_init__(self) -> None:
        """Make safe whatever the guest may have said."""
        object.__setattr__(self, "measured", safe_line(self.measured))
        object.__setattr__(self, "difference", safe_line(self.difference))
        object.__setattr__(self, "raw", tuple(map(safe_line, self.raw)))

    @property
    def ok(self) -> bool:
        return not self.difference


@dataclass
class Checks:
    """Runs checks on one guest."""

    guest: Guest
    expected: Expectation
    commands: list[CommandResult] = field(default_factory=list)
    state: Mapping[str, Any] | None = None
    """What `state_checks` has asked; None before."""

    def run(self, command: str, stdin: bytes | None = None) -> CommandResult:
        result = self.guest.run(command, stdin)
        self.commands.append(result)
        return result

    def finding(self, check: str, measured: str, difference: str = "", hint: str = "") -> Finding:
        raw = tuple(line for result in self.commands for line in result.describe(40))
        return Finding(check, measured, difference, raw, hint if difference else "")


Check = Callable[[Checks], Finding]
CHECKS: list[tuple[str, Check, frozenset[GuestKind]]] = []
EVERY = frozenset(GuestKind)
WINDOWS = frozenset({GuestKind.WINDOWS})


def check(title: str, kinds: frozenset[GuestKind] = EVERY) -> Callable[[Check], Check]:
    """Register a check for some kinds of guest, in the order of the source."""

    def register(function: Check) -> Check:
        CHECKS.append((title, function, kinds))
        return function

    return register


def self_test(guest: Guest, expected: Expectation) -> Iterator[Finding]:
    """Make every check that the guest's kind has, one after the other; what a check raises is its difference."""
    state: Mapping[str, Any] | None = None
    for title, function, kinds in CHECKS:
        if guest.kind not in kinds:
            continue
        checks = Checks(guest, expected, state=state)
        try:
            finding = function(checks)
            state = checks.state
            yield finding
        except FltLabError as error:
            yield Finding(title, "-", error.message, (*error.details, *checks.finding(title, "").raw), error.hint or "")


def _unlikely(size: int) -> bytes:
    """Bytes that nothing else makes, the same each time: what was asked can be compared with a recording."""
    return random.Random(size).randbytes(size)


# -- the guest itself


@check("WinRM")
def _winrm(checks: Checks) -> Finding:
    begin = time.monotonic()
    printed = checks.run("ver").output.strip()
    milliseconds = (time.monotonic() - begin) * 1000
    build = build_of(printed)
    difference = ""
    if checks.guest.kind is GuestKind.WINDOWS:
        if build is None:
            difference = "`ver` does not say a build of Windows 10 or later"
        elif checks.expected.build not in {None, build} and build not in checks.expected.renamed:
            difference = f"build {build} answers, and the image was made from build {checks.expected.build}"
    return checks.finding("WinRM", f"{printed}, {milliseconds:.0f} ms", difference, "fltlab image build makes it anew")


@check("standard input")
def _standard_input(checks: Checks) -> Finding:
    content = _unlikely(70_000)
    checks.guest.put(content, r"C:\fltlab\selftest.bin")
    returned = checks.guest.get(r"C:\fltlab\selftest.bin")
    difference = "" if returned == content else f"{len(content)} bytes went in, {len(returned)} other ones came back"
    return checks.finding("standard input", "70000 bytes there and back", difference)


@check("privileges")
def _privileges(checks: Checks) -> Finding:
    csv = " /fo csv /nh" if checks.guest.kind is GuestKind.WINDOWS else ""
    printed = checks.run(f"whoami.exe /priv{csv}").output
    # The words for enabled and disabled are translated; one privilege is enabled in every token.
    states = dict(re.findall(r'^\W*(Se\w+Privilege)\b.*?([^\s",]+)"?\s*$', printed, re.MULTILINE))
    needed = ("SeLoadDriverPrivilege", "SeRestorePrivilege", "SeShutdownPrivilege")
    missing = [name for name in needed if name not in states]
    enabled = states.get("SeChangeNotifyPrivilege")
    known = [f"{name}{'' if enabled in {None, states[name]} else ' (disabled)'}" for name in needed if name in states]
    return checks.finding(
        "privileges",
        ", ".join(known) or "none of those that are needed",
        f"the user lacks {', '.join(missing)}" if missing else "",
        "the user must be an administrator, with LocalAccountTokenFilterPolicy = 1 (docs/windows.md)",
    )


@check("identity and clock")
def _clock(checks: Checks) -> Finding:
    first, now = checks.guest.identity(), checks.guest.host_time()
    second = checks.guest.identity()
    off = first.time - now
    difference = ""
    if abs(off) > CLOCK_TOLERANCE:
        difference = f"its clock is off by {off:+.0f} s"
    elif first.random == second.random:
        difference = "two readings of its random pool are the same"
    elif first.boot_id != second.boot_id:
        difference = "its boot id changes from one command to the next"
    return checks.finding("identity and clock", f"boot {first.boot_id[:8]}, clock {off:+.1f} s", difference)


# -- what loads drivers


def _word(on: bool) -> str:
    return "on" if on else "off"


def _unlike(on: bool, wanted: bool | None) -> str:
    return "" if wanted in {None, on} else f"it is {_word(on)} and should be {_word(bool(wanted))}"


@check("test signing", WINDOWS)
def _test_signing(checks: Checks) -> Finding:
    options = boot_options(checks.run('bcdedit.exe /enum "{current}"').output)
    on = is_yes(options.get("testsigning", "No"))
    return checks.finding(
        "test signing",
        _word(on),
        _unlike(on, checks.expected.test_signing),
        "fltlab image build sets it when it builds",
    )


@check("Secure Boot", WINDOWS)
def _secure_boot(checks: Checks) -> Finding:
    printed = checks.run(powershell("try { Confirm-SecureBootUEFI } catch { Write-Output $_.FullyQualifiedErrorId }"))
    on = printed.output.strip() == "True"
    return checks.finding(
        "Secure Boot",
        _word(on),
        _unlike(on, bool(checks.expected.secure_boot)),
        "with Secure Boot only production-signed drivers load",
    )


@check("virtualization-based security", WINDOWS)
def _vbs(checks: Checks) -> Finding:
    script = (
        "(Get-CimInstance -Namespace root/Microsoft/Windows/DeviceGuard -ClassName Win32_DeviceGuard)"
        ".VirtualizationBasedSecurityStatus"
    )
    printed = checks.run(powershell(script)).output.strip()
    return checks.finding(
        "virtualization-based security",
        {"0": "off", "1": "enabled, not running", "2": "running"}.get(printed, printed or "no answer"),
        "" if printed in ("0", "1") else "it runs: memory integrity refuses test-signed drivers",
        "provision.ps1 switches it off; a policy of your ISO may switch it on again",
    )


@check("fltmc tables")
def _fltmc_tables(checks: Checks) -> Finding:
    filters = parse_filters(checks.run("fltmc.exe filters").output)
    instances = parse_instances(checks.run("fltmc.exe instances").output)
    checks.run("fltmc.exe volumes")
    nameless = [row for row in filters if not row.name] + [row for row in instances if not row.filter]
    return checks.finding(
        "fltmc tables",
        f"{len(filters)} filters, {len(instances)} instances",
        f"{len(nameless)} rows have no name: the columns are elsewhere" if nameless else "",
        "please report the raw text: harness/minifilter/fltmc.py reads tables by their ruler",
    )


@check("fltmc failures")
def _fltmc_failures(checks: Checks) -> Finding:
    result = checks.run(f"fltmc.exe load {NOBODY}")
    failure = parse_failure(result.output + result.errors)
    measured = f"exit code {result.exit_code}, {f'0x{failure.code:08x}' if failure else 'no code in the text'}"
    difference = "" if failure is not None else "a failed load is not told by `failed with error: 0x…`"
    return checks.finding("fltmc failures", measured, difference, "please report the raw text")


@check("registry and services")
def _registry(checks: Checks) -> Finding:
    key = rf"HKLM\SYSTEM\CurrentControlSet\Services\{NOBODY}"
    wrote = checks.run(rf'reg.exe add "{key}\Parameters" /v Operations /t REG_MULTI_SZ /d "create pre\0read" /f')
    read = checks.run(rf'reg.exe query "{key}\Parameters" /v Operations')
    gone = checks.run(rf'reg.exe delete "{key}" /f')
    difference = ""
    if not (wrote.ok and read.ok and gone.ok):
        difference = f"reg.exe ended with {wrote.exit_code}, {read.exit_code} and {gone.exit_code}"
    elif r"create pre\0read" not in read.output:
        difference = "a REG_MULTI_SZ of two strings is not read back as it was written"
    return checks.finding("registry and services", "a key written, read and removed", difference)


# -- the rest of a run


@check("data volume")
def _volume(checks: Checks) -> Finding:
    if checks.guest.kind is not GuestKind.WINDOWS:
        printed = checks.run("fltmc.exe volumes").output
        return checks.finding("data volume", "V:", "" if "V:" in printed else "fltmc volumes does not list V:")
    printed = checks.run("fsutil.exe fsinfo volumeinfo V:").output
    names = re.findall(r":\s*(NTFS|ReFS|exFAT|FAT32)\s*$", printed, re.MULTILINE)
    wanted = checks.expected.file_system
    difference = "" if names else "there is no volume V: with a file system that fltlab knows"
    if names and wanted and names[0].lower() != wanted.lower():
        difference = f"it is {names[0]} and should be {wanted}"
    return checks.finding(
        "data volume", names[0] if names else "none", difference, "fltlab formats the disk with serial fltdata"
    )


@check("crash dumps", WINDOWS)
def _crash_dumps(checks: Checks) -> Finding:
    printed = checks.run(r'reg.exe query "HKLM\SYSTEM\CurrentControlSet\Control\CrashControl"').output
    values = dict(re.findall(r"^\s+(\w+)\s+REG_DWORD\s+0x([0-9a-f]+)", printed, re.MULTILINE))
    enabled, nmi = int(values.get("CrashDumpEnabled", "0"), 16), int(values.get("NMICrashDump", "0"), 16)
    difference = ""
    if not enabled:
        difference = "CrashDumpEnabled is 0: a bug check leaves no dump"
    elif not nmi:
        difference = "NMICrashDump is 0: a hang cannot be made to leave a dump"
    return checks.finding("crash dumps", f"CrashDumpEnabled {enabled}, NMICrashDump {nmi}", difference)


@check("transfer")
def _transfer(checks: Checks) -> Finding:
    content = _unlikely(MIB)
    begin = time.monotonic()
    checks.guest.put(content, r"C:\fltlab\selftest.bin")
    up = time.monotonic() - begin
    begin = time.monotonic()
    returned = checks.guest.get(r"C:\fltlab\selftest.bin")
    down = time.monotonic() - begin
    checks.run(r"cmd.exe /c del C:\fltlab\selftest.bin")
    difference = "" if returned == content else "what came back is not what was sent"
    return checks.finding("transfer", f"1 MiB up in {up:.2f} s, down in {down:.2f} s", difference)
