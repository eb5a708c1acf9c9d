"""A schedule as a file: its moves, one a line, and what they are of. `--schedule` takes it, or the moves themselves.

fltlab schedule 1
driver lost-wake-up 0f3c…
seed 1
t56@lost-wake-up+0x1176#1>t64
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigurationError
from harness.wire.codec import MalformedMessageError
from harness.wire.schedule import Move, Switch, parse_move, parse_moves

HEAD = "fltlab schedule "
VERSION = 1
_LIMIT = 1 << 20


@dataclass(frozen=True)
class Schedule:
    """Moves; from a file also the SHA-256 of each driver that they are about, and the seed."""

    moves: tuple[Move, ...]
    drivers: Mapping[str, str]
    seed: int | None = None

    def text(self) -> str:
        """The content of its file."""
        lines = [f"{HEAD}{VERSION}"]
        lines += [f"driver {name} {digest}" for name, digest in sorted(self.drivers.items())]
        lines += [f"seed {self.seed}"] if self.seed is not None else []
        return "\n".join([*lines, *map(str, self.moves)]) + "\n"

    def require(self, drivers: Mapping[str, str]) -> None:
        """ConfigurationError unless these are the drivers that it is of."""
        for name, digest in self.drivers.items():
            if name not in drivers:
                raise ConfigurationError(
                    f"the schedule is of the driver {name}, which is not in the stack of this test",
                    details=(f"in the stack: {', '.join(sorted(drivers)) or 'none'}",),
                )
            if drivers[name] != digest:
                raise ConfigurationError(
                    f"the schedule is of another build of {name}: its places are not those of this one",
                    details=(f"of the schedule: {digest}", f"here:            {drivers[name]}"),
                    hint="explore again with --schedules, or build the driver as it was then",
                )

    def require_places(self, images: Sequence[str]) -> None:
        """ConfigurationError if a move is at a place in another image than these, where no thread is interrupted."""
        places = [move.place.at for move in self.moves if isinstance(move, Switch) and move.place.at]
        for image in dict.fromkeys(at.rpartition("+")[0] for at in places):
            if image not in images:
                raise ConfigurationError(
                    f"the schedule has a place in {image}, where this test is not interrupted",
                    details=(f"its drivers: {', '.join(images)}",),
                    hint="name the test that the schedule was found with, or explore again with --schedules",
                )


def read_schedule(given: str) -> Schedule:
    """What `--schedule` was given: a file, or moves with commas between them. ConfigurationError if it is neither."""
    path = Path(given)
    if ">" not in given and "=" not in given:
        return _parsed(path)
    try:
        return Schedule(parse_moves(given), {})
    except MalformedMessageError as error:
        if path.is_file():
            return _parsed(path)
        raise ConfigurationError(f"--schedule: {error}", hint="--schedule takes a file of a run, or moves") from error


def _parsed(path: Path) -> Schedule:
    try:
        content = path.read_bytes()[: _LIMIT + 1]
        lines = content.decode("utf-8").splitlines()
    except OSError as error:
        raise ConfigurationError(
            f"--schedule: {path} cannot be read: {error.strerror}", hint="a run leaves it as schedule.txt of the test"
        ) from error
    except UnicodeDecodeError:
        lines = []
    if len(content) > _LIMIT or not lines or not lines[0].startswith(HEAD):
        raise ConfigurationError(f"--schedule: {path} is no schedule", details=(f"it begins with {HEAD}{VERSION}",))
    version = lines[0].removeprefix(HEAD)
    if version != str(VERSION):
        raise ConfigurationError(
            f"--schedule: {path} is a schedule of version {version!r}, and this fltlab reads version {VERSION}"
        )
    drivers: dict[str, str] = {}
    seed: int | None = None
    moves: list[Move] = []
    for number, line in enumerate(lines[1:], start=2):
        words = line.split()
        try:
            if words[:1] == ["driver"]:
                name, digest = words[1:]
                drivers[name] = bytes.fromhex(digest).hex()
            elif words[:1] == ["seed"]:
                (seed,) = map(int, words[1:])
            elif words:
                moves.append(parse_move(line.strip()))
        except ValueError as error:
            raise ConfigurationError(
                f"--schedule: {path} is damaged in line {number}: {line[:80]!r}", details=(str(error),)
            ) from error
    return Schedule(tuple(moves), drivers, seed)
