"""The fixtures of the suites: `lab`, `guest`, `volume`.

What they stand on (WinRM, QEMU, the builders) is imported when a test asks for it: every pytest run on the machine
loads this module.
"""

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from harness.errors import FltLabError
from harness.fleet.settings import LOCAL_GUEST
from harness.plugin import schedules
from harness.plugin.evidence import LAB
from harness.plugin.facts import FACTS, LEASE_FIXTURE
from harness.plugin.options import settings
from harness.plugin.postmortem import LEASE
from harness.plugin.preflight import needed_by_all
from harness.plugin.run import RUN

if TYPE_CHECKING:
    from harness.fleet.disk import Disk
    from harness.fleet.drivers import Drivers
    from harness.fleet.lab import Lab
    from harness.fleet.pool import GuestPool, Lease
    from harness.fleet.scene import Scene
    from harness.fleet.volume import Volume
    from harness.guest import Guest
    from harness.guest.background import BackgroundProgram, ProgramUnderTest
    from harness.minifilter.probe import ProbeResult
    from harness.plugin.scenes import Scenes
    from harness.report.coverage.measured import Subject
    from harness.wire.kernel_state import Stop

FAILED = pytest.StashKey[bool]()
GUEST_FIXTURE = "guest"
NEXT = pytest.StashKey[pytest.Item | None]()
TRIED = pytest.StashKey[set[str]]()  # the guests that were asked for, whatever came of it
CAME_UP = pytest.StashKey[set[str]]()  # the guests of which one has come up in this process

MEASURED: "pytest.StashKey[dict[str, Subject]]" = pytest.StashKey()  # the drivers whose code is measured, by service


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test once on every guest that was asked for; with one guest the names of the tests stay as they are."""
    guests = settings(metafunc.config).guests
    if "fltlab_guest_name" in metafunc.fixturenames and len(guests) > 1:
        metafunc.parametrize("fltlab_guest_name", guests, indirect=True, scope="module")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note a failure where the teardown of the fixtures sees it."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session")
def fltlab_pool(request: pytest.FixtureRequest) -> Iterator["GuestPool"]:
    """The guests of this process."""
    from harness.fleet.pool import GuestPool

    run = request.config.stash[RUN]
    pool = GuestPool(run.settings, run.guest_folder)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def fltlab_drivers(request: pytest.FixtureRequest) -> "Drivers":
    """The drivers of this run."""
    from harness.fleet.drivers import Drivers

    return Drivers(request.config.stash[RUN].settings.drivers)


@pytest.fixture(scope="module")
def fltlab_guest_name(request: pytest.FixtureRequest) -> str:
    """The name of the guest that tests of a file run on: of a matrix, one after the other."""
    return str(getattr(request, "param", settings(request.config).guests[0]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Note which test comes next: its guest can be made ready meanwhile."""
    item.stash[NEXT] = nextitem


@pytest.fixture(scope="session")
def fltlab_scenes(request: pytest.FixtureRequest, fltlab_drivers: "Drivers") -> "Scenes":
    """The scenes of this session's tests."""
    from harness.plugin.scenes import Scenes

    return Scenes(request.config.stash[RUN].settings, fltlab_drivers)


@pytest.fixture
def fltlab_scene(request: pytest.FixtureRequest, fltlab_scenes: "Scenes") -> "Scene | None":
    """The scene of this test, its drivers built; None if it has no `lab`."""
    with needed_by_all(request.session, driver=True):
        return fltlab_scenes.of(request.node)


@pytest.fixture
def fltlab_lease(
    request: pytest.FixtureRequest,
    fltlab_pool: "GuestPool",
    fltlab_scenes: "Scenes",
    fltlab_scene: "Scene | None",
    fltlab_guest_name: str,
) -> Iterator["Lease"]:
    """The guest of this test, as the pool leases it."""
    facts = request.node.stash[FACTS]
    facts.guest = fltlab_guest_name
    came_up = request.session.stash.setdefault(CAME_UP, set())
    tried = request.session.stash.setdefault(TRIED, set())
    # A process of this machine that somebody killed is no reason to give up; a second one is.
    once_more = fltlab_guest_name == LOCAL_GUEST and fltlab_guest_name not in tried
    tried.add(fltlab_guest_name)
    with needed_by_all(request.session, guest=fltlab_guest_name not in came_up and not once_more):
        facts.guest_facts = asdict(fltlab_pool.provider(fltlab_guest_name).facts)
        facts.guest_kind = facts.guest_facts["kind"]
        lease = fltlab_pool.lease(fltlab_guest_name, str(request.node.path), fltlab_scene)
    came_up.add(fltlab_guest_name)
    request.node.stash[LEASE] = lease
    _expect_next(request.node, fltlab_pool, fltlab_scenes)
    yield lease
    _keep_coverage(request.node, lease)
    # What a test has done in the guest by itself, no other is to meet.
    by_hand = GUEST_FIXTURE in request.fixturenames
    spoils = request.node.get_closest_marker("spoils_guest") is not None
    lease.spoiled |= request.node.stash.get(FAILED, False) or spoils or by_hand


def _keep_coverage(item: pytest.Item, lease: "Lease") -> None:
    """Write down what this test had run of its drivers, if the run measures that."""
    run = item.config.stash[RUN]
    if run.settings.coverage is None:
        return
    from harness.report.coverage.measured import Subject, keep

    # Those of the stack before are there too: what they ran when they were unloaded comes out now.
    subjects = item.session.stash.setdefault(MEASURED, {})
    subjects |= {one.entry.service: Subject.of(one.driver) for one in lease.stack.minifilters}
    folder = run.test_folder(item.nodeid)
    if keep(folder, lease.guest.take_coverage(), subjects):
        item.stash[FACTS].folder = str(folder.relative_to(run.directory))


def _expect_next(item: pytest.Item, pool: "GuestPool", scenes: "Scenes") -> None:
    """Have the guest of the next test made ready, if it takes one. What is wrong with it, the test itself will say."""
    following = item.stash.get(NEXT, None)
    if following is None or LEASE_FIXTURE not in getattr(following, "fixturenames", ()):
        return
    callspec = getattr(following, "callspec", None)
    chosen = callspec.params.get("fltlab_guest_name") if callspec is not None else None
    with contextlib.suppress(FltLabError):
        pool.expect(str(chosen or settings(item.config).guests[0]), str(following.path), scenes.of(following))


@pytest.fixture
def guest(fltlab_lease: "Lease") -> "Guest":
    """The guest of this test: run commands in it, put and get files."""
    return fltlab_lease.guest


@pytest.fixture
def volume(fltlab_lease: "Lease") -> "Volume":
    """The data volume of the guest, V:."""
    from harness.fleet.volume import Volume

    return Volume(guest=fltlab_lease.guest)


@pytest.fixture
def disk(lab: "Lab", volume: "Volume") -> "Disk":
    """The disk of V: from below: made to fail, to be slow or full, taken away."""
    from harness.fleet.disk import Disk

    return Disk(volume, lambda: lab.io("sleep 1"))


@pytest.fixture
def lab(
    request: pytest.FixtureRequest,
    fltlab_lease: "Lease",
    fltlab_scene: "Scene | None",
    fltlab_drivers: "Drivers",
    volume: "Volume",
) -> Iterator["Lab"]:
    """The stack that the test's marks describe, loaded and attached to the volume."""
    from harness.fleet import user_mode
    from harness.fleet.health import KernelWatch
    from harness.fleet.lab import Lab
    from harness.guest import background
    from harness.guest.probe import run_probe

    item, lease = request.node, fltlab_lease
    assert fltlab_scene is not None
    deployed = lease.stack.deploy(fltlab_scene.plan, fltlab_scene.built)
    item.stash[FACTS].drivers = deployed.hashes
    watch = KernelWatch(lease)

    def probe(script: str) -> "tuple[str, ProbeResult]":
        return run_probe(lease.guest, script)

    def program(wanted: "ProgramUnderTest") -> "BackgroundProgram":
        return background.start(lease.guest, wanted)

    witnesses, puts_below = item.stash[FACTS].witnesses, lease.provider.puts_below(lease.guest)

    def stop() -> "Stop | None":
        state = lease.guest.last_kernel
        return state.stop if state is not None else None

    drivers = [fltlab_scene.built[name] for name in fltlab_scene.plan.drivers]
    parts = user_mode.start_services(lease.guest, drivers, fltlab_drivers)
    lab = Lab(
        *(deployed.handles, volume, probe, watch.check, witnesses, lambda: lease.guest.seen, program),
        # A file system that is a driver has its volume to itself: what is put into the guest is not on it.
        put=None if settings(request.config).file_system_driver else puts_below or lease.guest.put_all,
        stop=stop,
    )
    lab.programs = parts
    item.stash[LAB] = lab

    def anew(seed: int) -> None:
        lease.begin_anew(seed)
        lease.stack.deploy(fltlab_scene.plan, fltlab_scene.built)
        parts[:] = user_mode.start_services(lease.guest, drivers, fltlab_drivers)

    explored = schedules.services_of(fltlab_scene)
    schedules.offer(item, schedules.ItemSubject(lease, lab, volume, watch, explored, anew, witnesses))
    yield lab
    if lease.guest.first_cause is not None:  # the test has been told, and if it passes it expected that
        return
    lab.close()
    for part in parts:
        part.stop()
    if lab.has_changed_stack or volume.was_dismounted:
        lease.stack.forget()
    if volume.was_dismounted:
        lease.guest.run(f"dir {volume.letter}\\")  # its next use mounts it: this one
    lease.spoiled |= volume.was_removed
    if item.stash.get(FAILED, False):
        return  # a test that failed has said it
    try:
        watch.check()
        if item.get_closest_marker("spoils_guest") is None:
            watch.audit(for_good=lease.provider.one_test_each and GUEST_FIXTURE not in request.fixturenames)
    except FltLabError:
        lease.spoiled = True
        raise
