"""Machines to test with: the reference image, with a small agent of the tests in the place of fltlab's daemon."""

import http.client
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.host.accelerator import choose
from harness.image import reference
from harness.machine.deadlines import Deadline, Deadlines, Wait
from harness.machine.machine import Machine
from harness.machine.spec import MachineSpec
from harness.machine.template_store import ColdBoot, Template, TemplateStore
from tests.limits import HANG

AGENT = Path(__file__).with_name("agent.py")


@dataclass(frozen=True)
class Result:
    """What a shell command in the guest gave."""

    exit_code: int
    output: str


def run_in_guest(machine: Machine, command: str, timeout: float = HANG) -> Result:
    """Run a shell command in the guest."""
    connection = http.client.HTTPConnection("127.0.0.1", machine.ports[5985], timeout=timeout)
    try:
        connection.request("POST", "/", command)
        code, _, output = connection.getresponse().read().decode(errors="replace").partition("\n")
    finally:
        connection.close()
    return Result(int(code), output)


def wait_until_it_answers(machine: Machine, wait: Wait = Wait.BOOT) -> Machine:
    """Wait until the guest answers a command; each attempt has longer, for a guest that is slow."""
    patience = 0.2

    def look() -> tuple[Result | None, str]:
        nonlocal patience
        machine.check()
        patience = min(1.5 * patience, 60.0)
        try:
            return run_in_guest(machine, "true", timeout=patience), "an answer"
        except (OSError, http.client.HTTPException) as error:
            return None, f"{error!r}; {machine.describe()}"

    Deadline(HANG, wait.text).poll(look)
    return machine


@pytest.fixture(scope="session")
def shell():
    """Run a shell command in a machine's guest."""
    return run_in_guest


@pytest.fixture(scope="session")
def wait_for_agent():
    """Wait until a machine's guest answers."""
    return wait_until_it_answers


@pytest.fixture(scope="session")
def accelerator():
    return choose().accelerator


@pytest.fixture(scope="session")
def deadlines() -> Deadlines:
    return Deadlines.measured(choose())


@pytest.fixture(scope="session")
def image():
    return reference.build()


@pytest.fixture(scope="session")
def agent(tmp_path_factory):
    root = tmp_path_factory.mktemp("agent") / "harness"
    for package in ("", "nt", "wire", "reference", "reference/guestd"):
        (root / package).mkdir(parents=True, exist_ok=True)
        (root / package / "__init__.py").touch()
    shutil.copy(AGENT, root / "reference" / "guestd" / "__main__.py")
    return reference.payload(root)


@pytest.fixture(scope="session")
def spec(image, agent, accelerator) -> MachineSpec:
    return reference.machine_spec(image, agent, accelerator)


def prepare(machine: Machine) -> dict[str, bytes]:
    """Bring a machine to its agent; nothing is kept beside the template."""
    wait_until_it_answers(machine)
    run_in_guest(machine, "echo from the template > /volume/file; sync")
    return {}


@pytest.fixture(scope="session")
def store(deadlines) -> TemplateStore:
    """The user's own store: the template of these tests is made once and found again by the next run."""
    return TemplateStore(deadlines=deadlines)


@pytest.fixture(scope="session")
def template(store, spec) -> Template:
    secrets = reference.GuestSecrets()
    template = store.get_or_make(ColdBoot(spec, secrets.firmware_files()), {"for": "tests/machine"}, prepare)
    yield template
    template.release()


@pytest.fixture
def fork(template, tmp_path, deadlines):
    """A function that gives running forks, each ended with the test."""
    forks: list[Machine] = []

    def make(origin: Template = template) -> Machine:
        machine = origin.fork(tmp_path / f"fork-{len(forks)}", deadlines=deadlines)
        forks.append(machine)
        return wait_until_it_answers(machine, Wait.FORK)

    yield make
    for machine in forks:
        machine.kill()


@pytest.fixture
def short() -> Deadline:
    return Deadline(HANG, "what the test waits for")
