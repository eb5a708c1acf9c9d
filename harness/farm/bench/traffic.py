"""What reaching a guest costs: one command, and bytes by each road."""

import base64
import contextlib
import io
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import winrm

from harness.errors import GuestError
from harness.farm.bench.figures import Series
from harness.farm.bench.ground import Ground, Running
from harness.image.reference.boot import SSH_PORT
from harness.machine.deadlines import Deadlines, Wait
from harness.machine.disks import Disk, DiskImage, Format

COMMANDS = "one command, answered"
UPLOAD = "upload"
MIB = 1 << 20
SIZE_MIB = 8


def measure_commands(ground: Ground, runs: int) -> Iterator[Series]:
    """Measure a command on the kept shell, and one by pywinrm's Session, in turns in one guest."""
    running = ground.fork()
    try:
        with running.guest() as guest:
            end = guest.endpoint
            session = winrm.Session(end.url, auth=(end.user, end.password), transport="basic")
            guest.succeed("ver")
            kept, fresh = [], []
            for _ in range(4 * runs):
                kept.append(1000 * _seconds(lambda: guest.succeed("ver")))
                fresh.append(1000 * _seconds(lambda: session.run_cmd("ver")))
    finally:
        running.machine.kill()
    yield Series("command_ms", "kept shell (fltlab)", COMMANDS, "ms", tuple(kept))
    yield Series("pywinrm_session_ms", "winrm.Session.run_cmd", COMMANDS, "ms", tuple(fresh))


def measure_uploads(ground: Ground, runs: int) -> Iterator[Series]:
    """Measure bytes sent over WinRM, over SFTP, and by a medium that the guest reads."""
    media = ground.scratch / "media"
    media.write_bytes(bytes(SIZE_MIB * MIB))
    disk = Disk("media", DiskImage(media, Format.RAW), writable=False)
    running = ground.boot(replace(ground.spec, disks=(*ground.spec.disks, disk)))
    data = os.urandom(SIZE_MIB * MIB)
    try:
        with running.guest() as guest:
            small = [_seconds(lambda: guest.put(data[:MIB], r"C:\one.bin")) for _ in range(runs)]
            large = [_seconds(lambda: guest.put(data, r"C:\eight.bin")) for _ in range(runs)]
        with _ssh(running) as client, client.open_sftp() as sftp:
            put = [_seconds(lambda: sftp.putfo(io.BytesIO(data), "/tmp/eight.bin", len(data))) for _ in range(runs)]  # noqa: S108
            read = [_seconds(lambda: _by_media(client, media, data)) for _ in range(runs)]
    finally:
        running.machine.kill()
    yield Series("upload_1_mib_s", "1 MiB over WinRM", "upload of 1 MiB", "s", tuple(small))
    for name, text, seconds in (("winrm", "WinRM", large), ("sftp", "SFTP", put), ("media", "medium", read)):
        speeds = tuple(SIZE_MIB / value for value in seconds)
        yield Series(f"upload_mib_s.{name}", text, f"{UPLOAD} of {SIZE_MIB} MiB", "MiB/s", speeds, more_is_better=True)


def _by_media(client: paramiko.SSHClient, media: Path, data: bytes) -> None:
    """Write the medium on the host, and have the guest read all of it past its cache."""
    with media.open("r+b") as file:
        file.write(data)
    _, out, _ = client.exec_command(
        f"dd if=/dev/vdc of=/tmp/media bs=1M count={SIZE_MIB} iflag=direct 2>&1", timeout=Wait.GUEST_COMMAND.seconds
    )
    if out.channel.recv_exit_status() != 0:
        raise GuestError("the guest could not read its medium", details=tuple(out.read().decode().splitlines()))


@contextlib.contextmanager
def _ssh(running: Running) -> Iterator[paramiko.SSHClient]:
    """A client of the guest's SSH server, whose key is known."""
    keys, port = running.secrets.ssh, running.machine.ports[SSH_PORT]
    kind, public = keys.host_public_key().split()[:2]
    client = paramiko.SSHClient()
    client.get_host_keys().add(
        f"[127.0.0.1]:{port}", kind, paramiko.PKey.from_type_string(kind, base64.b64decode(public))
    )
    own = paramiko.Ed25519Key.from_private_key(io.StringIO(keys.client_private_key()))

    def connect() -> tuple[bool | None, str]:
        try:
            client.connect("127.0.0.1", port, "root", pkey=own, allow_agent=False, look_for_keys=False)
        except (OSError, paramiko.SSHException) as error:
            return None, str(error)
        return True, "connected"

    Deadlines().begin(Wait.SSH).poll(connect, 0.1)
    try:
        yield client
    finally:
        client.close()


def _seconds(action: Callable[[], object]) -> float:
    begin = time.monotonic()
    action()
    return time.monotonic() - begin
