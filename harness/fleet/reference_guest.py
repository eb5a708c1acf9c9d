"""The `reference` guest: forks of a running template in QEMU, each with an identity of its own."""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from harness.errors import GuestError
from harness.fleet.guest_name import GuestName
from harness.fleet.progress import say
from harness.fleet.provider import Opened, Provider
from harness.fleet.scene import Scene
from harness.fleet.settings import DEFAULT_GUEST, Settings
from harness.fleet.stack import Stack
from harness.fleet.warm_up import warm_up_script
from harness.guest import REFERENCE, Endpoint, Guest, GuestKind, volume_details
from harness.guest.errors import CommandTimeout, ConnectionLost, Unreachable
from harness.guest.identity import parse_identity, require_boot
from harness.guest.probe import run_probe
from harness.guest.waking import boot_id_of
from harness.guest.winrm import WinRmSession
from harness.host.accelerator import Choice, Probe, choose, parse_choice
from harness.host.tools import Tool, version_of
from harness.image import reference
from harness.image.reference.boot import SSH_PORT, WINRM_PORT, GuestSecrets
from harness.image.reference.payload import Payload
from harness.image.store import Image, ImageStore
from harness.machine.deadlines import Deadline, Deadlines, Wait
from harness.machine.leases import Demand, Leases
from harness.machine.machine import Machine
from harness.machine.reach import wait_for_answer
from harness.machine.template_store import TemplateStore
from harness.machine.templates import ColdBoot, Template
from harness.report.provenance import GuestFacts

SECRETS = "secrets.json"
FORK_MEMORY_MIB = 160


class ReferenceProvider(Provider):
    """Builds the image and the template when the first guest is asked for, and forks the template after that."""

    one_test_each = True

    def __init__(self, settings: Settings, system: str = "") -> None:
        self.name = str(GuestName(DEFAULT_GUEST, system))
        self._settings = settings
        self._kernel = replace(settings.kernel, format=system)
        self._leases = Leases()
        self._scenes: dict[str, Template] = {}

    @cached_property
    def facts(self) -> GuestFacts:
        return GuestFacts(
            name=self.name,
            kind=GuestKind.REFERENCE.value,
            image_sha256=self._image.key,
            qemu=version_of(Tool.QEMU) or "",
            accelerator=str(self._probe.accelerator),
            details={"payload": self._payload.key, "seed": str(self._settings.seed)} | volume_details(self._kernel),
        )

    @contextlib.contextmanager
    def open(self, directory: Path, scene: Scene | None) -> Iterator[Opened]:
        deadline = Deadlines().begin(Wait.ROOM)
        template = self._template_of(scene) if scene is not None else self._template
        with self._leases.lease(Demand(FORK_MEMORY_MIB), deadline) as lease:
            own = GuestSecrets()
            machine = template.fork(directory, name=self.name, secrets=own.firmware_files(), deadlines=self._deadlines)
            lease.of(machine.pid)
            try:
                with self._awake(template, machine, own) as guest:
                    if scene is not None:
                        guest.drivers_under_test = tuple(item.entry.service for item in scene.minifilters)
                        yield Opened(guest, Stack.standing(guest, scene.plan, scene.minifilters))
                    else:
                        self._restart_kernel(guest)
                        yield Opened(guest, Stack(guest))
            finally:
                machine.stop()

    def prepare(self) -> GuestFacts:
        """Have the image, and the template of a guest that has started."""
        self._template.file(SECRETS)
        return self.facts

    def close(self) -> None:
        """Every machine ended with its lease: nothing is kept."""

    @cached_property
    def _probe(self) -> Probe:
        return choose(parse_choice(self._settings.accelerator or Choice.AUTO.value))

    @cached_property
    def _deadlines(self) -> Deadlines:
        return Deadlines.measured(self._probe)

    @cached_property
    def _store(self) -> TemplateStore:
        return TemplateStore(deadlines=self._deadlines)

    @cached_property
    def _image(self) -> Image:
        root = self._settings.image_directory
        store = ImageStore(root) if root else None
        return reference.build(store=store, progress=lambda text: say(f"{text} (once on this machine)"))

    @cached_property
    def _payload(self) -> Payload:
        return reference.payload()

    @cached_property
    def _template(self) -> Template:
        spec = reference.machine_spec(self._image, self._payload, self._probe.accelerator)
        first = GuestSecrets()

        def prepare(machine: Machine) -> Mapping[str, bytes]:
            say("starting the reference guest (once for each version of fltlab: then it is forked)")
            wait_until_it_answers(machine, first, self._deadlines.begin(Wait.BOOT))
            return {SECRETS: first.to_bytes()}

        origin = ColdBoot(spec, first.firmware_files())
        return self._store.get_or_make(origin, {"for": "runs", "kernel": 1}, prepare)

    def _template_of(self, scene: Scene) -> Template:
        """The template of a guest with a scene in place: deployed once, for every test that wants it."""
        facts = self._facts_of(scene)
        name = json.dumps(facts, sort_keys=True, default=str)
        if name not in self._scenes:
            secrets = self._template.file(SECRETS)
            frozen = GuestSecrets.from_bytes(secrets)

            def prepare(machine: Machine) -> Mapping[str, bytes]:
                labels = ", ".join(entry.label for entry in scene.plan.entries) or "no minifilter"
                say(f"deploying {labels} (once for these drivers: then its guest is forked)")
                wait_for_answer(machine, WINRM_PORT, self._deadlines.begin(Wait.FORK))
                with Guest(self.name, REFERENCE, endpoint(machine, frozen), machine) as guest:
                    self._restart_kernel(guest)
                    Stack(guest).deploy(scene.plan, scene.built)
                    run_probe(guest, self._warm_up(scene))
                return {SECRETS: secrets}

            self._scenes[name] = self._store.get_or_make(self._template, facts, prepare)
        return self._scenes[name]

    def _facts_of(self, scene: Scene) -> dict[str, object]:
        """All that a scene's template is made of, beside the template that it is a fork of."""
        return {"kernel": self._kernel.words(), "warm_up": self._warm_up(scene), **scene.facts}

    def _warm_up(self, scene: Scene) -> str:
        return warm_up_script(scene, correct_kernel=not self._settings.mutants)

    def _restart_kernel(self, guest: Guest) -> None:
        guest.restart_kernel(self._kernel)

    @contextlib.contextmanager
    def _awake(self, template: Template, machine: Machine, own: GuestSecrets) -> Iterator[Guest]:
        """A fork that has taken on its own identity: clock, random numbers, boot id, credentials."""
        frozen = GuestSecrets.from_bytes(template.file(SECRETS))
        deadline = self._deadlines.begin(Wait.FORK)
        wait_for_answer(machine, WINRM_PORT, deadline)
        session = WinRmSession(endpoint(machine, frozen), f"the guest {self.name!r}", machine.deadlines)
        try:
            told = session.run("fltlab-guest forked", own.for_fork(time.time(), os.urandom(64)), Wait.FORKED)
            boot_id = own.configuration.boot_id
            if not told.ok or boot_id_of(told.output) != boot_id:
                raise GuestError(f"the fork {machine.name} did not take on its identity", details=told.describe())
            session.now_at(endpoint(machine, own))
            ssh = own.ssh_endpoint(machine.ports[SSH_PORT])
            yield Guest(self.name, REFERENCE, session.endpoint, machine, ssh=ssh, session=session)
        finally:
            session.disconnect()  # its machine ends with it: there is nobody left to say goodbye to


def endpoint(machine: Machine, secrets: GuestSecrets) -> Endpoint:
    """Where the WinRM service of a machine is reached, and with whose word."""
    return Endpoint(
        port=machine.ports[WINRM_PORT], user=secrets.configuration.user, password=secrets.configuration.password
    )


def wait_until_it_answers(machine: Machine, secrets: GuestSecrets, deadline: Deadline) -> None:
    """Wait until a WinRM command has answered with this boot's id; the connection is closed again."""
    wait_for_answer(machine, WINRM_PORT, deadline)
    patience = machine.deadlines.seconds(Wait.IDENTITY)

    def look() -> tuple[bool | None, str]:
        nonlocal patience
        machine.check()
        with WinRmSession(endpoint(machine, secrets), machine.name) as session:
            try:
                result = session.run(REFERENCE.identity, timeout=min(patience, max(1.0, deadline.remaining)))
            except (Unreachable, ConnectionLost, CommandTimeout) as error:
                patience *= 2  # a guest on a busy machine never answers if it is broken off again and again
                return None, f"{error.details[-1] if error.details else error}; {machine.describe()}"
        require_boot(parse_identity(result), secrets.configuration.boot_id, machine.name)
        return True, "an answer"

    deadline.poll(look, interval=0.05)
