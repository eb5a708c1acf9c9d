"""Which boot of which guest it was that answered: a forwarded port proves nothing, a boot id does."""

from dataclasses import dataclass

from harness.errors import GuestError
from harness.guest.command import CommandResult
from harness.text import read_json


@dataclass(frozen=True)
class Identity:
    """What a guest says of itself. `time` is its clock (seconds since 1970), `random` 16 fresh bytes of its pool."""

    boot_id: str
    time: float
    random: bytes
    facts: dict[str, object]


def parse_identity(result: CommandResult) -> Identity:
    """Read what a profile's identity command printed."""
    try:
        document = read_json(result.output)
        return Identity(
            boot_id=str(document["boot_id"]),
            time=float(document["time"]),
            random=bytes.fromhex(document["random"]),
            facts={key: value for key, value in document.items() if key not in {"boot_id", "time", "random"}},
        )
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise GuestError(
            "the guest did not say who it is", details=(f"{type(error).__name__}: {error}", *result.describe())
        ) from error


def require_boot(identity: Identity, boot_id: str, name: str) -> None:
    """Raise GuestError unless it was this boot that answered."""
    if identity.boot_id != boot_id:
        raise GuestError(
            f"another boot than that of {name} answered",
            details=(f"expected boot id {boot_id}", f"answered by   {identity.boot_id}"),
            hint="the port is forwarded to another guest, or the guest has restarted by itself",
        )
