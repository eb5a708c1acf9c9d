"""What only a reference guest has: its kernel's options and state, and the identity a fork is given."""

import base64
import fcntl
import json
import os
import struct
import time
from dataclasses import replace

from harness.reference.guestd import ssh
from harness.reference.guestd.commands.table import Invocation, command
from harness.reference.guestd.kernel_process import KernelBusy, KernelGone, KernelStopped
from harness.reference.guestd.paths import BadPath
from harness.wire import attempts, kernel_state
from harness.wire import kernel as wire
from harness.wire.codec import MalformedMessageError, decode, encode
from harness.wire.schedule import AskFollowed, Followed, GoBack, KeepPoint, Plan

RNDADDENTROPY = 0x40085203
RNDRESEEDCRNG = 0x5207
STATUS_SECONDS = 5.0
FOR_GOOD = "--for-good"


@command("fltlab-kernel")
def kernel(call: Invocation) -> int:
    """`restart [--seed N] [--mutant NAME] [--policy K=V]`, `status`, `coverage`; `watch`, `audit`, `starve EVERY`.

    `keep-point` of services, `go-back` to it, `followed`: for schedules (harness/wire/schedule.py).
    """
    words = list(call.words[1:])
    if words[:1] == ["restart"]:
        call.guest.restart_kernel(words[1:])
        try:
            call.guest.kernel.ask(wire.Status(), kernel_state.KernelState, timeout=60)
        except (KernelStopped, KernelGone, KernelBusy) as problem:
            call.err(str(problem))
            return 1
        return 0
    if words[:1] == ["watch"]:
        call.guest.kernel.ask(wire.Watch(tuple(words[1:])), wire.Done)
        return 0
    if words[:1] == ["starve"] and len(words) > 2 and words[1].isdecimal():
        starved = call.guest.kernel.ask(wire.Starve(tuple(words[2:]), int(words[1])), wire.Starved)
        call.out(str(starved.failed))
        return 0
    if words[:1] == ["audit"]:
        services, for_good = tuple(words[1:]), words[1:2] == [FOR_GOOD]
        asked = wire.Audit(services[1:] if for_good else services, for_good=for_good)
        call.out(encode(call.guest.kernel.ask(asked, wire.Findings)))
        return 0
    if words == ["attempts"]:
        return _attempts(call)
    if words[:1] == ["entrances"] and len(words) == 2:
        call.out(encode(call.guest.kernel.ask(attempts.ListEntrances(words[1]), attempts.Entrances)))
        return 0
    if words == ["coverage"]:
        call.out(encode(call.guest.kernel.ask(wire.TakeCoverage(), wire.Coverage)))
        return 0
    if words[:1] == ["status"]:
        call.out(encode(status(call)))
        return 0
    if words[:1] == ["keep-point"]:
        call.guest.kernel.ask(KeepPoint(tuple(words[1:])), wire.Done)
        return 0
    if words[:1] == ["go-back"]:
        return _go_back(call, keep="--forget" not in words)
    if words[:1] == ["followed"]:
        call.out(encode(call.guest.kernel.ask(AskFollowed(), Followed)))
        return 0
    restart = "restart [--seed N] [--mutant NAME] [--policy K=V]"
    of_services = f"watch SERVICE... | starve EVERY SERVICE... | audit [{FOR_GOOD}] SERVICE... | keep-point SERVICE..."
    call.err(
        f"usage: fltlab-kernel {restart} | {of_services} | coverage | status "
        "| go-back [--forget] | followed | entrances SERVICE | attempts < JSON"
    )
    return 87


def _go_back(call: Invocation, *, keep: bool) -> int:
    """Go back to the point that was kept, and on by the plan on standard input, if there is one."""
    text = call.command.read_all()
    try:
        plan = decode(Plan, text) if text.strip() else None
    except MalformedMessageError as error:
        call.err(str(error))
        return 87
    call.guest.go_back(GoBack(plan, keep))
    return 0


def _attempts(call: Invocation) -> int:
    """Scripts to try, from standard input; V: is emptied before each."""
    try:
        asked = decode(attempts.Attempts, call.command.read_all())
        program = call.guest.drives.local(asked.program)
    except (MalformedMessageError, BadPath) as error:
        call.err(f"fltlab-kernel attempts: {error}")
        return 87
    asked = replace(asked, program=str(program), empty=(str(call.guest.drives.root("V")),))
    call.out(encode(call.guest.kernel.ask(asked, attempts.TriedBatches)))
    return 0


def status(call: Invocation) -> kernel_state.KernelState:
    """The kernel's own word about itself, or why there is none."""
    try:
        return call.guest.kernel.ask(wire.Status(), kernel_state.KernelState, timeout=STATUS_SECONDS)
    except (KernelStopped, KernelBusy, KernelGone) as problem:
        return state_of(problem)


def state_of(problem: KernelStopped | KernelBusy | KernelGone) -> kernel_state.KernelState:
    """What a failed request says of the kernel."""
    if isinstance(problem, KernelStopped):
        return problem.state
    state = kernel_state.State.BUSY if isinstance(problem, KernelBusy) else kernel_state.State.GONE
    return kernel_state.KernelState(state, str(problem))


@command("fltlab-guest")
def guest(call: Invocation) -> int:
    """`identity` prints who this boot is; `forked` reads a fork's new identity from standard input."""
    if list(call.words[1:2]) == ["identity"]:
        call.out(
            json.dumps(
                {
                    "boot_id": call.guest.configuration.boot_id,
                    "time": time.time(),
                    "random": os.urandom(16).hex(),
                    "kind": "reference",
                    "kernel_process": call.guest.kernel.alive,
                }
            )
        )
        return 0
    if list(call.words[1:2]) == ["forked"]:
        return _forked(call)
    call.err("usage: fltlab-guest identity | forked < JSON")
    return 87


def _forked(call: Invocation) -> int:
    """Take on the identity of a fork: clock, entropy, boot id, password, keys of the SSH server."""
    configuration = call.guest.configuration
    if configuration.ssh is None:  # its clock is the host's
        call.err("this guest is a process of its host, and no machine that could be forked")
        return 1
    told = json.loads(call.command.read_all())
    time.clock_settime(time.CLOCK_REALTIME, float(told["time"]))
    _add_entropy(base64.b64decode(told["entropy"]))
    configuration.boot_id = str(told["boot_id"])
    configuration.password = str(told["password"])
    ssh.new_keys.take(base64.b64decode(told["ssh_host_key"]), str(told["ssh_authorized_key"]))
    call.out(json.dumps({"boot_id": configuration.boot_id}))
    return 0


def _add_entropy(entropy: bytes) -> None:
    """Credit the kernel's pool and have its generator reseed at once: a fork begins with its template's state."""
    descriptor = os.open("/dev/urandom", os.O_WRONLY)
    try:
        fcntl.ioctl(descriptor, RNDADDENTROPY, struct.pack("ii", len(entropy) * 8, len(entropy)) + entropy)
        fcntl.ioctl(descriptor, RNDRESEEDCRNG)
    finally:
        os.close(descriptor)
