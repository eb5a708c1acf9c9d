"""The machine that boots the reference image, and the secrets that it is handed."""

import base64
import json
import secrets
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from harness.guest.endpoint import SshEndpoint
from harness.host.accelerator import Accelerator
from harness.host.directories import write_private
from harness.image.reference.builder import DATA_DISK, KERNEL, SYSTEM
from harness.image.reference.payload import Payload, initramfs
from harness.image.store import Image
from harness.machine.disks import Disk, DiskImage, Format
from harness.machine.parts import Board, Device, FirmwareFile, LinuxBoot, Processor, UserNetwork
from harness.machine.spec import MachineSpec

WINRM_PORT = 5985
SSH_PORT = 22

# Measured: none of these makes more than a few hundredths of a second; together they keep the console quiet and the
# guest off delays that no virtual machine needs, and off work that every fork would do again: a tick that is not set
# anew each time, no security modules, no second look at memory, and nothing that is only done now and then (writing
# back, statistics), which would come in the middle of a test. A panic is reported by pvpanic, and the guest stays for
# evidence.
KERNEL_COMMAND_LINE = (
    "console=ttyS0 quiet loglevel=4 mitigations=off nokaslr no_timer_check tsc=reliable random.trust_cpu=on "
    "rcupdate.rcu_expedited=1 panic=0 ipv6.disable=1 psi=0 cgroup_disable=memory audit=0 nowatchdog "
    "highres=off nohz=off lsm=capability init_on_alloc=0 kfence.sample_interval=0 numa_balancing=disable noautogroup "
    "sysctl.vm.dirty_writeback_centisecs=360000 sysctl.vm.stat_interval=3600 sysctl.vm.compaction_proactiveness=0"
)

TCG_PROCESSOR = "qemu64,+rdrand"
"""What TCG is to play. `max` has more, which makes the guest use more of it: measured, a seventh more time a test."""

CONFIGURATION = FirmwareFile("config")
SSH_HOST_KEY = FirmwareFile("ssh-host-key")
SSH_AUTHORIZED_KEY = FirmwareFile("ssh-authorized-key")


def machine_spec(image: Image, code: Payload, accelerator: Accelerator) -> MachineSpec:
    """Return the machine that boots an image with the guest code in it.

    The data disk is behind a root port, so that it can be pulled.
    """
    memory = image.facts["memory_mib"]
    assert isinstance(memory, int)
    return MachineSpec(
        board=Board(memory_mib=memory),
        processor=Processor(accelerator, model=None if accelerator is Accelerator.KVM else TCG_PROCESSOR),
        boot=LinuxBoot(image.file(KERNEL), initramfs(image, code), KERNEL_COMMAND_LINE),
        disks=(
            Disk("system", DiskImage(image.file(SYSTEM), Format.RAW), writable=False),
            Disk("data", DiskImage(image.file(DATA_DISK), Format.RAW), root_port=1),
        ),
        network=UserNetwork(forwards=(WINRM_PORT, SSH_PORT)),
        devices=(Device("pvpanic-pci"),),
        firmware_files=(CONFIGURATION, SSH_HOST_KEY, SSH_AUTHORIZED_KEY),
        generation_id=False,  # a fork is told who it is, and has its entropy from that
    )


@dataclass(frozen=True)
class SshKeys:
    """The keys of one guest's SSH server and of the one client that may come in."""

    host: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate, repr=False)
    client: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate, repr=False)

    def host_key_for_dropbear(self) -> bytes:
        """Return the server's key as dropbear keeps it: its type, then seed and public half together."""
        kind = b"ssh-ed25519"
        both = _seed(self.host) + self.host.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return len(kind).to_bytes(4, "big") + kind + len(both).to_bytes(4, "big") + both

    def authorized_key(self) -> str:
        """Return the client's public key as a line of authorized_keys."""
        return self.client.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

    def host_public_key(self) -> str:
        """Return the server's public key in OpenSSH's form, to be checked when connecting."""
        return self.host.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

    def client_private_key(self) -> str:
        """Return the client's private key in OpenSSH's form."""
        return self.client.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


@dataclass(frozen=True)
class GuestConfiguration:
    """What a reference guest is told at its start, and again when it is forked: every guest has its own."""

    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    boot_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    user: str = "fltlab"
    hostname: str = "reference"
    address: str = "0.0.0.0"  # noqa: S104 - inside the guest, whose network is restricted
    port: int = WINRM_PORT
    volume: str = "/volume"
    system: str = "/windows"
    ssh: str = "/run/fltlab"
    version: int = 1

    def to_json(self) -> bytes:
        """Return the daemon's configuration file."""
        return json.dumps(asdict(self), indent=1).encode() + b"\n"


@dataclass(frozen=True)
class GuestSecrets:
    """Everything that is secret about one guest."""

    configuration: GuestConfiguration = field(default_factory=GuestConfiguration)
    ssh: SshKeys = field(default_factory=SshKeys, repr=False)

    def firmware_files(self) -> dict[str, bytes]:
        """Return what the guest reads through fw_cfg, for `Machine(secrets=…)`."""
        return {
            CONFIGURATION.name: self.configuration.to_json(),
            SSH_HOST_KEY.name: self.ssh.host_key_for_dropbear(),
            SSH_AUTHORIZED_KEY.name: self.ssh.authorized_key().encode() + b"\n",
        }

    def for_fork(self, now: float, entropy: bytes) -> bytes:
        """Return what `fltlab-guest forked` reads on stdin: the fork's own identity, the time, fresh entropy."""
        return json.dumps(
            {
                "time": now,
                "entropy": base64.b64encode(entropy).decode(),
                "boot_id": self.configuration.boot_id,
                "password": self.configuration.password,
                "ssh_host_key": base64.b64encode(self.ssh.host_key_for_dropbear()).decode(),
                "ssh_authorized_key": self.ssh.authorized_key(),
            }
        ).encode()

    def ssh_endpoint(self, port: int) -> SshEndpoint:
        """Return how the guest's SSH server is reached behind a forwarded port."""
        drives = {"C": self.configuration.system, "V": self.configuration.volume}
        return SshEndpoint(port, "root", self.ssh.host_public_key(), self.ssh.client_private_key(), drives)

    def to_bytes(self) -> bytes:
        """Return the secrets as bytes: a template keeps them, for its forks' first command."""
        client, host = (
            key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
            for key in (self.ssh.client, self.ssh.host)
        )
        values = {"configuration": asdict(self.configuration), "client": client.hex(), "host": host.hex()}
        return json.dumps(values).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "GuestSecrets":
        """Return the secrets that `to_bytes` gave."""
        values = json.loads(content)
        keys = SshKeys(
            Ed25519PrivateKey.from_private_bytes(bytes.fromhex(values["host"])),
            Ed25519PrivateKey.from_private_bytes(bytes.fromhex(values["client"])),
        )
        return cls(GuestConfiguration(**values["configuration"]), keys)

    def save(self, path: Path) -> None:
        """Keep the secrets in a file that only its owner reads."""
        path.unlink(missing_ok=True)
        write_private(path, self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> "GuestSecrets":
        """Read secrets that `save` kept."""
        return cls.from_bytes(path.read_bytes())


def _seed(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
