r"""Checks of what state a Windows guest is in: its policies, licence, disks and settings, each by a number and no word.

One script asks for all of it. It comes as a file, for a command line would not hold it, and answers in JSON.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import GuestError
from harness.guest.licence import ASK, parse_licence
from harness.guest.selftest import EVERY, WINDOWS, Checks, Finding, check
from harness.guest.stack import BASE, STEP
from harness.minifilter.fltmc import parse_filters, parse_instances, parse_volumes

SCRIPT_FILE = r"C:\fltlab\state.ps1"
COMMAND = f"powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File {SCRIPT_FILE}"
HIGHEST_STACK = 40
"""More minifilters are in no stack."""
GIB = 1 << 30
NEEDED_GIB = 4
QUICKEST_TICK = 1_000_000
_DUMPS = {1: "complete", 2: "kernel", 3: "small", 7: "automatic"}
_SMART_APP_CONTROL = {0: "off", 1: "on", 2: "evaluating"}
_CATEGORIES = {0: "public", 1: "private", 2: "domain"}
_UNLIKELY_NAME = "C:\\fltlab\\gr\u00fcn-\u6f22\u5b57-\u043c\u0438\u0440.bin"
_UNLIKELY_TEXT = "gr\u00fcn \u6f22\u5b57 \u043c\u0438\u0440"

STATE = r"""
$ErrorActionPreference = 'SilentlyContinue'
function Get-Value {
    param([string]$Path, [string]$Name)
    (Get-ItemProperty -LiteralPath "Registry::HKEY_LOCAL_MACHINE\$Path" -Name $Name).$Name
}
$control = 'SYSTEM\CurrentControlSet\Control'
$current = 'SOFTWARE\Microsoft\Windows\CurrentVersion'
$guard = Get-CimInstance -Namespace root/Microsoft/Windows/DeviceGuard -ClassName Win32_DeviceGuard
$pages = @(Get-CimInstance -ClassName Win32_PageFileUsage | Where-Object { $_.Name -like 'C:\*' })
$disk = Get-CimInstance -ClassName Win32_LogicalDisk -Filter "DeviceID='C:'"
$pending = @()
if (Test-Path "HKLM:\$current\Component Based Servicing\RebootPending") { $pending += 'servicing' }
if (Test-Path "HKLM:\$current\WindowsUpdate\Auto Update\RebootRequired") { $pending += 'update' }
if (Get-Value "$control\Session Manager" 'PendingFileRenameOperations') { $pending += 'renames' }
$integrity = @($guard.SecurityServicesRunning) -contains 2
$paged = ($pages | Measure-Object -Property AllocatedBaseSize -Sum).Sum
$memory = (Get-CimInstance -ClassName Win32_ComputerSystem).TotalPhysicalMemory / 1048576
$networks = @(Get-NetConnectionProfile | ForEach-Object { [int]$_.NetworkCategory })
$found = @{
    start_options = [string](Get-Value $control 'SystemStartOptions')
    memory_integrity = $integrity
    blocklist = Get-Value "$control\CI\Config" 'VulnerableDriverBlocklistEnable'
    smart_app_control = Get-Value "$control\CI\Policy" 'VerifiedAndReputablePolicyState'
    dump = Get-Value "$control\CrashControl" 'CrashDumpEnabled'
    page_mib = [long]$paged
    memory_mib = [long]$memory
    free = [long]$disk.FreeSpace
    pending = $pending
    utc_offset = [TimeZoneInfo]::Local.BaseUtcOffset.TotalMinutes
    utc_clock = Get-Value "$control\TimeZoneInformation" 'RealTimeIsUniversal'
    ticks = [Diagnostics.Stopwatch]::Frequency
    networks = $networks
    language = [string](Get-UICulture).Name
    short_names = Get-Value "$control\FileSystem" 'NtfsDisable8dot3NameCreation'
}
$found | ConvertTo-Json -Compress
exit 0
"""


def read_state(run: Callable[[str], str]) -> Mapping[str, Any]:
    """What the script says; GuestError where that is no JSON."""
    text = run(COMMAND)
    try:
        found = json.loads(text)
    except ValueError as error:
        raise GuestError(
            "the guest does not tell its state", details=(f"| {text.strip()[:400] or 'nothing'}",)
        ) from error
    if not isinstance(found, dict):
        raise GuestError("the guest does not tell its state", details=(f"| {text.strip()[:400]}",))
    return found


def script_content() -> bytes:
    """The script as the guest reads it."""
    return STATE.strip().replace("\n", "\r\n").encode("ascii") + b"\r\n"


def _state(checks: Checks) -> Mapping[str, Any]:
    if checks.state is None:
        checks.guest.put(script_content(), SCRIPT_FILE)
        checks.state = read_state(lambda command: checks.run(command).output)
    return checks.state


@check("licence", WINDOWS)
def _licence(checks: Checks) -> Finding:
    licence = parse_licence(checks.run(ASK).output)
    difference = "it has run out: Windows switches itself off an hour after each start" if licence.has_run_out else ""
    return checks.finding("licence", str(licence), difference, "fltlab image build … --activate, or a product key")


@check("test signing in force", WINDOWS)
def _in_force(checks: Checks) -> Finding:
    # The options that this very start was made with: what bcdedit shows is for the next one.
    on = "TESTSIGNING" in str(_state(checks).get("start_options", "")).upper().split()
    wanted = checks.expected.test_signing
    difference = "" if wanted in {None, on} else f"it is {'on' if on else 'off'} in this start"
    return checks.finding("test signing in force", "on" if on else "off", difference, "restart, and ask again")


@check("policies for drivers", WINDOWS)
def _policies(checks: Checks) -> Finding:
    state = _state(checks)
    integrity, blocklist, control = (state.get(name) for name in ("memory_integrity", "blocklist", "smart_app_control"))
    problems = []
    if integrity:
        problems.append("memory integrity (HVCI) runs and refuses test-signed drivers")
    if blocklist:
        problems.append("the blocklist of vulnerable drivers is on")
    if control == 1:
        problems.append("Smart App Control is on and refuses what it does not know")
    measured = (
        f"memory integrity {'on' if integrity else 'off'}, blocklist {'not set' if blocklist is None else blocklist}, "
        f"Smart App Control {_SMART_APP_CONTROL.get(control or 0, control)}"
    )
    return checks.finding("policies for drivers", measured, "; ".join(problems), "provision.ps1 switches them off")


@check("Defender", WINDOWS)
def _defender(checks: Checks) -> Finding:
    filters = {row.name.casefold() for row in parse_filters(checks.run("fltmc.exe filters").output)}
    there = "wdfilter" in filters
    difference = (
        "WdFilter is loaded: it opens files by itself, and its I/O comes into what is recorded" if there else ""
    )
    return checks.finding("Defender", "on" if there else "off", difference, "Windows PE switches it off offline")


@check("minifilters on V:", WINDOWS)
def _inbox(checks: Checks) -> Finding:
    rows = [row for row in parse_instances(checks.run("fltmc.exe instances").output) if row.volume.upper() == "V:"]
    lowest, highest = float(BASE), float(BASE) + HIGHEST_STACK * STEP
    ours = [row for row in rows if row.altitude and lowest <= float(row.altitude) <= highest]
    measured = ", ".join(f"{row.filter} {row.altitude}" for row in rows) or "none"
    difference = f"{ours[0].filter} stands where our stacks stand, {lowest} to {highest}" if ours else ""
    return checks.finding("minifilters on V:", measured, difference, "give altitudes in the marks of your tests")


@check("fltmc volumes", WINDOWS)
def _volumes(checks: Checks) -> Finding:
    answer = checks.run("fltmc.exe volumes")
    rows = parse_volumes(answer.output)
    found = [row for row in rows if row.dos_name.upper() == "V:"]
    where = f", V: is {found[0].volume} {found[0].file_system}" if found else ""
    measured = f"exit code {answer.exit_code}, {len(rows)} volumes{where}"
    difference = "" if found and found[0].volume else "V: is not among them with its device"
    if answer.exit_code and not difference:
        difference = f"it lists them and ends with exit code {answer.exit_code}"
    return checks.finding("fltmc volumes", measured, difference, "please report the raw text")


@check("page file and dumps", WINDOWS)
def _page_file(checks: Checks) -> Finding:
    state = _state(checks)
    dump, pages, memory = (int(state.get(name) or 0) for name in ("dump", "page_mib", "memory_mib"))
    problems = []
    if dump not in (1, 2, 7):
        problems.append("no kernel dump is written")
    if pages < memory:
        problems.append(f"the page file of {pages} MiB does not hold a dump of {memory} MiB of memory")
    measured = f"{_DUMPS.get(dump, 'no')} dump, {pages} MiB on C:"
    return checks.finding("page file and dumps", measured, "; ".join(problems), "fltlab image build sets both")


@check("room and pending restarts", WINDOWS)
def _room(checks: Checks) -> Finding:
    state = _state(checks)
    free, pending = int(state.get("free") or 0), state.get("pending") or []
    problems = [f"only {free / GIB:.1f} GiB are free on C:"] if free < NEEDED_GIB * GIB else []
    problems += [f"a restart is pending: {', '.join(map(str, pending))}"] if pending else []
    measured = f"{free / GIB:.1f} GiB free" + (f", pending {', '.join(map(str, pending))}" if pending else "")
    hint = "restart the guest while it is built: what is pending is done in every guest anew"
    return checks.finding("room and pending restarts", measured, "; ".join(problems), hint)


@check("time zone and counter", WINDOWS)
def _time(checks: Checks) -> Finding:
    state = _state(checks)
    offset, universal, ticks = (int(state.get(name) or 0) for name in ("utc_offset", "utc_clock", "ticks"))
    problems = [f"its time zone is {offset:+d} min from UTC"] if offset else []
    problems += [] if universal == 1 else ["it takes the machine's clock for local time (RealTimeIsUniversal)"]
    problems += [f"its performance counter has {ticks} ticks a second"] if ticks < QUICKEST_TICK else []
    measured = f"UTC{offset:+d} min, counter {ticks / 1e6:g} MHz"
    return checks.finding("time zone and counter", measured, "; ".join(problems), "fltlab image build sets both")


@check("network category", WINDOWS)
def _network(checks: Checks) -> Finding:
    networks = _state(checks).get("networks") or []
    found = networks if isinstance(networks, list) else [networks]
    words = [_CATEGORIES.get(one, str(one)) for one in found]
    difference = (
        "" if found and 0 not in found else f"the network is {', '.join(words) or 'not there'}, and not private"
    )
    return checks.finding("network category", ", ".join(words) or "none", difference, "build step \u201cnetwork\u201d")


@check("language", WINDOWS)
def _language(checks: Checks) -> Finding:
    language, wanted = str(_state(checks).get("language") or "unknown"), checks.expected.language
    difference = "" if wanted in {None, language} else f"it is {language} and should be {wanted}"
    return checks.finding("language", language, difference, "--language says which one the ISO is in")


@check("8.3 names", WINDOWS)
def _short_names(checks: Checks) -> Finding:
    value = _state(checks).get("short_names")
    words = {0: "made on every volume", 1: "made on none", 2: "as each volume has it", 3: "made on the system volume"}
    return checks.finding("8.3 names", words.get(int(value or 0), str(value)))


@check("text that is not ASCII", EVERY)
def _text(checks: Checks) -> Finding:
    content = bytes(range(256))
    checks.guest.put(content, _UNLIKELY_NAME)
    returned = checks.guest.get(_UNLIKELY_NAME)
    problems = [] if returned == content else ["a file with such a name does not come back as it was sent"]
    printed = checks.run(f"cmd.exe /c echo {_UNLIKELY_TEXT}").output.strip()
    problems += [] if printed == _UNLIKELY_TEXT else [f"{_UNLIKELY_TEXT!r} is printed as {printed!r}"]
    checks.run(f'cmd.exe /c del "{_UNLIKELY_NAME}"')
    return checks.finding("text that is not ASCII", "a name, a command and 256 bytes", "; ".join(problems))
