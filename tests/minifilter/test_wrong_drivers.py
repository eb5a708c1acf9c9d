"""Each driver of drivers/wrong breaks the one rule that it names, and the reference kernel says just that."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.contract import load_catalogue
from harness.minifilter.build import BuiltDriver
from harness.minifilter.imports import SUPPORT
from harness.minifilter.operation_classes import OPERATIONS, WITHOUT_NOTICE
from harness.minifilter.package import Control, DriverPackage, find_packages
from harness.reference.process.host import Host
from harness.reference.windows.kernel import Kernel
from harness.wire import kernel as wire

PACKAGES = {name: package for name, package in find_packages(SUPPORT).items() if package.violates}
OPEN = "open f V:\\data.bin access=rw options=noncached\n"
READ = OPEN + "read f offset=0 length=512\n"
FAST_READ = "open f V:\\data.bin access=rw\nread f offset=0 length=512\nread f offset=0 length=512\n"
OVERLAPPED = "open f V:\\data.bin options=noncached,overlapped\nread f offset=0 length=512 async=r\n"
MAPPED = "open f V:\\data.bin\nsection s f protect=read\nmap v s protect=read\npeek v offset=0 length=16\n"
NOTIFIED = """
    open d V:\\ options=directory,overlapped access=list
    spawn n notify d
    open f V:\\new disposition=create
    wait n
"""
HELD_BELOW = (
    "filter low\nrule low major=read do=pend mechanism=queue hold=yes\n" + OVERLAPPED + "expect-held low count=1\n"
)

# What each is told to do, and what is done: the rule's words, then the script.
SCRIPTS = {
    "asks-without-post": ("major=read do=with-callback", READ),
    "changes-major": ("major=read do=with-callback", READ),
    "changes-unmarked": ("major=read do=with-callback offset=512", READ),
    "completes-as-pending": ("major=read do=complete", READ),
    "completes-with-context": ("major=read do=complete status=0xC0000022", READ),
    "completes-with-reserved-status": ("major=read do=complete", READ),
    "completes-without-information": ("major=read do=complete", READ),
    "completes-without-status": ("major=read do=complete", READ),
    "disallows-fsfilter-anywhere": ("major=read do=disallow-fsfilter-io", READ),
    "disallows-irps": ("major=read class=irp do=disallow-fastio", READ),
    "disallows-with-status": ("major=read class=fastio do=disallow-fastio", FAST_READ),
    "fails-section-acquire": (
        "major=acquire-for-section-synchronization do=complete",
        "open f V:\\data.bin\nsection s f protect=read\n",
    ),
    "freezes-refused": ("major=read do=with-callback post=pend paging=yes", "deadline 50\n" + MAPPED),
    "pends-refused": ("major=read do=pend paging=yes", "deadline 50\n" + MAPPED),
    "resumes-without-status": ("major=read do=pend", READ),
    "fails-close": ("major=cleanup do=complete status=0xC0000022", OPEN + "close f\n"),
    "fails-with-information": ("major=read do=with-callback post-status=0xC0000022", READ),
    "fetches-context-in-post": ("major=read post-context=stream-handle", READ + 30 * "read f offset=0 length=512\n"),
    "forgets-pended": ("major=read do=pend", "deadline 50\n" + READ),
    "forgets-pended-completion": ("major=read do=with-callback post=pend", "deadline 50\n" + READ),
    "freezes-fast-io": ("major=read class=fastio do=with-callback", FAST_READ),
    "keeps-pended-at-teardown": (
        "major=read do=pend hold=yes",
        "deadline 50\n" + OVERLAPPED + "detach wrong\n",
    ),
    "keeps-work-items": ("major=read do=with-callback", READ + "close f\nunload fltlab-wrong\n"),
    "leaves-context": ("major=read do=no-callback", READ),
    "pends-fast-io": ("major=read class=fastio do=pend", FAST_READ),
    "pends-unlocked": ("major=read do=pend", READ),
    "pends-with-context": ("major=read do=pend", READ),
    "releases-name-twice": ("major=read do=with-callback", READ),
    "releases-context-twice": (
        "major=read pre-context=stream-handle",
        "rule wrong major=create set-context=stream-handle\n" + READ,
    ),
    "resumes-at-dispatch": ("major=read do=pend", READ),
    "resumes-synchronized": ("major=read do=pend", READ),
    "resumes-with-context": ("major=read do=pend", READ),
    "returns-unknown-status": ("major=read do=no-callback", READ),
    "synchronizes-notifications": ("major=directory-control do=synchronize", NOTIFIED),
    "synchronizes-everything": ("major=read do=synchronize", OVERLAPPED + "wait r\n"),
    "waits-for-safety-of-fast-io": ("major=read class=fastio do=with-callback", FAST_READ),
    "works-while-draining": (
        "major=read do=with-callback context=7",
        HELD_BELOW + "detach wrong\nrelease low\nwait r\n",
    ),
    "writes-status-in-passing": ("major=read do=with-callback", READ),
    "writes-status-while-draining": (
        "major=read do=with-callback context=7",
        HELD_BELOW + "detach wrong\nrelease low\nwait r\n",
    ),
    "references-query-open": ("major=network-query-open do=disallow-fastio", "query-path V:\\data.bin\n"),
    "holds-resource": ("major=read do=synchronize", READ),
}

# Black boxes take no rules: they break theirs as they come or go, or by what is done here.
BLACK_BOX_SCRIPTS = {
    "completes-cancelled-twice": OVERLAPPED + "cancel f async=r\nwait r\nclose f\n",
    "stays-registered": READ + "close f\nopen f V:\\fail-entry.bin disposition=create\nclose f\n"
    "unload fltlab-wrong\nload fltlab-wrong\n",
    "swaps-short": "open w V:\\tail.bin access=rw disposition=create\nwrite w length=100\nclose w\n"
    "open f V:\\tail.bin access=read options=noncached\nread f offset=0 length=512\nclose f\n",
}
OPERATION = re.compile(r"(\w+) \\every(?:\.bin)? \((\w+)\)")
CONTROLLED = {name: package for name, package in PACKAGES.items() if package.control is Control.FLTLAB}
BLACK_BOXES = {name: package for name, package in PACKAGES.items() if package.control is Control.NONE}

# What a rule of these is about comes in every class: what the driver is told, and the classes of which it must be said.
PASSED = frozenset(
    f"{major} ({kind})"
    for kind, majors in {
        "IRP": "CREATE CLEANUP CLOSE READ WRITE QUERY_INFORMATION SET_INFORMATION QUERY_EA SET_EA QUERY_SECURITY"
        " SET_SECURITY QUERY_VOLUME_INFORMATION DIRECTORY_CONTROL FLUSH_BUFFERS FILE_SYSTEM_CONTROL DEVICE_CONTROL",
        "FAST_IO": "READ WRITE QUERY_INFORMATION LOCK_CONTROL DEVICE_CONTROL NETWORK_QUERY_OPEN",
        "FS_FILTER": "ACQUIRE_FOR_SECTION_SYNCHRONIZATION RELEASE_FOR_SECTION_SYNCHRONIZATION",
    }.items()
    for major in majors.split()
)
ENDS = ("CREATE", "CLEANUP", "CLOSE", "ACQUIRE", "RELEASE", "NETWORK")
COMPLETED = frozenset(
    kind for kind in PASSED if not kind.startswith((*ENDS, "SET_SECURITY", "READ (F", "WRITE (F", "DEVICE_CONTROL (I"))
)
CHANGED = frozenset(kind for kind in PASSED if not kind.startswith((*ENDS, "SET_SECURITY", "FLUSH")))
EVERYWHERE = {
    "changes-major": ("do=with-callback paging=yes", PASSED - {"FLUSH_BUFFERS (IRP)"}),  # it makes flushes of all
    "changes-unmarked": ("do=with-callback offset=8192 length=4", CHANGED),
    "completes-with-context": ("do=complete status=0xC0000022", COMPLETED),
    "completes-with-reserved-status": ("do=complete", COMPLETED),
    "completes-without-information": ("do=complete", COMPLETED),
    "completes-without-status": ("do=complete", COMPLETED),
    "leaves-context": ("do=no-callback paging=yes", PASSED),
    "returns-unknown-status": ("do=no-callback paging=yes", PASSED),
    "waits-for-safety-of-fast-io": (
        "do=with-callback paging=yes",
        frozenset(kind for kind in PASSED if "(IRP" not in kind),
    ),
    "writes-status-in-passing": ("do=with-callback paging=yes", PASSED),
}
AT_ONCE = {"asks-without-post": "do=with-callback", "completes-as-pending": "do=complete"}
"""The first operation ends it: one class after the other."""

Judge = Callable[..., list[tuple[str | None, str | None]]]
Findings = list[tuple[str | None, str | None, str]]
"""Rule, driver, text."""


@pytest.fixture
def examine(built: dict[str, BuiltDriver], tmp_path: Path) -> Callable[..., Findings]:
    """Run a script above a driver, with `pending` below it as `low`: what it broke, as the kernel reports it."""

    def run(driver: str, script: str, seed: int = 0, operations: list[str] | None = None) -> Findings:
        (tmp_path / "data.bin").write_bytes(bytes(range(256)) * 8)
        (tmp_path / "every.bin").write_bytes(b"\x5a" * 65536)
        (tmp_path / "C").mkdir(exist_ok=True)
        system = Kernel(volumes={"C:": tmp_path / "C", "V:": tmp_path}, seed=seed)
        host = Host(system)
        for label, name, altitude in (("wrong", driver, "370050"), ("low", "pending", "370040")):
            instance = {"Altitude": {"type": "REG_SZ", "value": altitude}, "Flags": {"type": "REG_DWORD", "value": 1}}
            instances = {"DefaultInstance": {"type": "REG_SZ", "value": label}, label: {"key": instance}}
            values = {"Contexts": {"type": "REG_MULTI_SZ", "value": ["stream-handle"]}}
            if driver == "asks-without-post":
                values["Operations"] = {"type": "REG_MULTI_SZ", "value": ["read pre"]}
            if operations is not None:
                values["Operations"] = {"type": "REG_MULTI_SZ", "value": operations}
            registry = {"Parameters": {"key": {"Instances": {"key": instances}, **values}}}
            service = f"fltlab-{label}"
            system.registry.load(f"{system.registry.SERVICES}\\{service}", registry)
            system.service_images[service] = built[name].sys
            assert isinstance(host.answer(wire.Load(service)), wire.Done)
            assert isinstance(host.answer(wire.Attach(service, "V:")), wire.Attached)
        answer = host.answer(wire.Run(str(built["fltprobe"].sys), (), script.encode()))
        broken: Findings = [(item.rule, item.driver, item.text) for item in system.verifier.findings]
        stop = answer.state.stop if isinstance(answer, wire.Stopped) else None
        if stop is not None and stop.name:
            broken.append((stop.rule, stop.driver, stop.message))
        return broken

    return run


@pytest.fixture
def judge(examine: Callable[..., Findings]) -> Judge:
    """The same: rules and drivers."""
    return lambda *arguments: [found[:2] for found in examine(*arguments)]


@pytest.mark.parametrize("package", CONTROLLED.values(), ids=CONTROLLED)
def test_the_reference_kernel_reports_the_rule_that_a_wrong_driver_breaks(judge: Judge, package: DriverPackage):
    rule, script = SCRIPTS[package.name]

    for seed in range(3):
        broken = judge(package.name, f"filter wrong\nrule wrong {rule}\n{script}", seed)
        assert {driver for _, driver in broken} == {"fltlab-wrong"}
        assert {rule for rule, _ in broken if rule} == {package.violates}  # what else it does no rule is about


@pytest.mark.parametrize("driver", EVERYWHERE)
def test_a_wrong_driver_is_reported_in_every_class_of_operations(examine: Callable[..., Findings], driver: str):
    does, classes = EVERYWHERE[driver]
    majors = [operation.split()[0] for operation in OPERATIONS]
    ends = tuple(end.lower() for end in ENDS) if classes is COMPLETED else ()
    rules = [f"rule wrong major={major} {does}" for major in majors if not major.startswith(ends)]
    script = "\n".join(["deadline 200", "filter wrong", *rules, WITHOUT_NOTICE])

    broken = examine(driver, script, 0, OPERATIONS)

    assert {rule for rule, _, _ in broken if rule} == {PACKAGES[driver].violates}
    told = {f"{major} ({kind})" for _, _, text in broken for major, kind in OPERATION.findall(text)}
    assert classes - told == set()


@pytest.mark.parametrize("major", ["create", "cleanup", "directory-control", "query-information", "set-ea"])
@pytest.mark.parametrize("driver", AT_ONCE)
def test_a_wrong_driver_is_stopped_in_whatever_class(examine: Callable[..., Findings], driver: str, major: str):
    script = f"deadline 200\nfilter wrong\nrule wrong major={major} {AT_ONCE[driver]}\n{WITHOUT_NOTICE}"

    broken = examine(driver, script, 0, [f"{operation.split()[0]} pre" for operation in OPERATIONS])

    assert PACKAGES[driver].violates in {rule for rule, _, _ in broken}
    assert any(major.upper().replace("-", "_") in text for _, _, text in broken)


@pytest.mark.parametrize("package", CONTROLLED.values(), ids=CONTROLLED)
def test_a_wrong_driver_that_is_told_nothing_breaks_nothing(judge: Judge, package: DriverPackage):
    assert judge(package.name, "filter wrong\n" + SCRIPTS[package.name][1].replace("rule wrong", "# rule wrong")) == []


@pytest.mark.parametrize("package", BLACK_BOXES.values(), ids=BLACK_BOXES)
def test_the_reference_kernel_reports_what_a_wrong_black_box_does(judge: Judge, package: DriverPackage):
    script = BLACK_BOX_SCRIPTS.get(package.name, READ + "close f\n") + "unload fltlab-wrong\n"

    assert judge(package.name, script) == [(package.violates, "fltlab-wrong")]


@pytest.mark.parametrize("package", PACKAGES.values(), ids=PACKAGES)
def test_a_wrong_driver_names_an_obligation_in_its_manifest_and_in_its_source(package: DriverPackage):
    rule = load_catalogue()[package.violates or ""]

    assert rule.kind == "obligation"
    assert f"Wrong on purpose ({rule.id})" in package.path(package.sources[0]).read_text()


def test_each_core_obligation_has_a_wrong_driver():
    obligations = {rule.id for rule in load_catalogue().rules if rule.core and rule.kind == "obligation"}

    assert obligations - {package.violates for package in PACKAGES.values()} == set()


def test_the_documentation_lists_them_with_their_rules():
    text = (SUPPORT.parent / "docs" / "drivers.md").read_text()

    assert re.findall(r"^\| `([a-z-]+)` \| ([A-Z]+-[A-Z0-9-]+) \|", text, re.MULTILINE) == [
        (name, PACKAGES[name].violates) for name in sorted(PACKAGES)
    ]
