"""The fixtures of the suites: `lab`, `guest`, `volume`.

What they stand on (WinRM, QEMU, the builders) is imported when a test asks for it: every pytest run on the machine
loads this module.
"""

from collections.abc import Generator, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from harness.plugin.evidence import LAB
from harness.plugin.facts import FACTS
from harness.plugin.options import settings
from harness.plugin.postmortem import LEASE
from harness.plugin.run import RUN

if TYPE_CHECKING:
    from harness.guest import Guest
    from harness.minifilter.probe import ProbeResult
    from harness.plugin.drivers import Drivers
    from harness.plugin.lab import Lab
    from harness.plugin.pool import GuestPool, Lease
    from harness.plugin.volume import Volume

FAILED = pytest.StashKey[bool]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test once on every guest that was asked for; with one guest the names of the tests stay as they are."""
    guests = settings(metafunc.config).guests
    if "fltlab_guest_name" in metafunc.fixturenames and len(guests) > 1:
        metafunc.parametrize("fltlab_guest_name", guests, indirect=True)


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
    from harness.plugin.pool import GuestPool

    pool = GuestPool(request.config.stash[RUN])
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def fltlab_drivers(request: pytest.FixtureRequest) -> "Drivers":
    """The drivers of this run."""
    from harness.plugin.drivers import Drivers

    return Drivers(request.config.stash[RUN].settings.drivers)


@pytest.fixture
def fltlab_guest_name(request: pytest.FixtureRequest) -> str:
    """The name of the guest that this test runs on."""
    return str(getattr(request, "param", settings(request.config).guests[0]))


@pytest.fixture
def fltlab_lease(request: pytest.FixtureRequest, fltlab_pool: "GuestPool", fltlab_guest_name: str) -> Iterator["Lease"]:
    """The guest of this test's file, as the pool leases it."""
    facts = request.node.stash[FACTS]
    facts.guest = fltlab_guest_name
    facts.guest_facts = asdict(fltlab_pool.provider(fltlab_guest_name).facts)
    facts.guest_kind = facts.guest_facts["kind"]
    lease = fltlab_pool.lease(fltlab_guest_name, str(request.node.path))
    request.node.stash[LEASE] = lease
    yield lease
    lease.spoiled |= request.node.stash.get(FAILED, False)


@pytest.fixture
def guest(fltlab_lease: "Lease") -> "Guest":
    """The guest of this test: run commands in it, put and get files."""
    return fltlab_lease.guest


@pytest.fixture
def volume() -> "Volume":
    """The data volume of the guest, V:."""
    from harness.plugin.volume import Volume

    return Volume()


@pytest.fixture
def lab(
    request: pytest.FixtureRequest, fltlab_lease: "Lease", fltlab_drivers: "Drivers", volume: "Volume"
) -> Iterator["Lab"]:
    """The stack that the test's marks describe, loaded and attached to the volume."""
    from harness.plugin.health import KernelWatch
    from harness.plugin.lab import Lab
    from harness.plugin.probe import run_probe
    from harness.plugin.stack import stack_of

    item, lease = request.node, fltlab_lease
    deployed = lease.stack.deploy(stack_of(item, item.config.stash[RUN].settings), fltlab_drivers)
    item.stash[FACTS].drivers = deployed.hashes
    watch = KernelWatch(lease)

    def probe(script: str) -> "tuple[str, ProbeResult]":
        return run_probe(lease.guest, script)

    lab = Lab(deployed.handles, volume, probe, watch.check, item.stash[FACTS].witnesses)
    item.stash[LAB] = lab
    yield lab
    if lab.has_changed_stack:
        lease.stack.forget()
    if not item.stash.get(FAILED, False):  # a test that failed has said it
        watch.check()
