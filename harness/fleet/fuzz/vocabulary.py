"""The words that new steps are made of, for each thing that can be fuzzed: ports, devices, files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import TypeVar

from harness.fleet.fuzz.case import Case, Step
from harness.fleet.fuzz.dictionary import Dictionary
from harness.wire.attempts import Entrances

SIZES = (0, 1, 2, 3, 4, 7, 8, 12, 15, 16, 24, 31, 32, 48, 63, 64, 100, 128, 255, 256, 260, 512, 1024, 4096)
EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
NAMES = ("a.txt", "b.txt", "long name with blanks.dat", "dir", "dir\\c.txt", "a.txt:stream")
FSCTLS = (0x900A8, 0x900A4, 0x9009C, 0x900C0, 0x94264, 0x90064, 0x98208, 0x9C040, 0x900EB, 0x940CF, 0x980C8)
WORDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("open", "access"): ("read", "write", "rw", "delete", "rw,delete", "attributes", "list", "execute", "append"),
    ("open", "share"): ("all", "none", "read", "write", "delete"),
    ("open", "disposition"): ("supersede", "open", "create", "open-if", "overwrite", "overwrite-if"),
    ("open", "options"): (
        "noncached", "directory", "non-directory", "delete-on-close", "write-through", "sequential", "backup",
    ),
    ("open", "attributes"): ("normal", "readonly", "hidden", "system", "archive"),
    ("query", "class"): (
        "basic", "standard", "internal", "ea", "access", "name", "position", "mode", "all", "network-open",
        "attribute-tag", "stream", "hard-link", "id",
    ),
    ("set", "class"): (
        "basic", "disposition", "disposition-ex", "position", "allocation", "end-of-file", "valid-data-length",
        "rename", "link",
    ),
    ("query-volume", "class"): ("volume", "size", "device", "attribute", "full-size"),
    ("directory", "class"): ("names", "directory", "full", "both", "id-both", "id-full"),
}  # fmt: skip
HEX_KEYS = frozenset(
    {("send-message", "data"), ("connect", "context"), ("reply", "data"), ("fsctl", "hex"), ("ioctl", "hex")}
)
NUMBER_KEYS = frozenset({"room", "out", "in", "length", "offset", "code", "value", "fill", "allocation", "information"})
TEXT_KEYS = frozenset({"text", "name", "pattern", "path"})


FARTHEST = 1 << 20
"""No file gets larger than that many bytes: it is the driver that is tried, not the volume."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789 ._-~$"
_Item = TypeVar("_Item")


class Door(StrEnum):
    """What of a driver is fuzzed."""

    PORT = "port"
    IO = "io"
    IOCTL = "ioctl"


@dataclass(frozen=True)
class Vocabulary:
    """Makes steps that make sense."""

    doors: tuple[Door, ...]
    entrances: Entrances
    dictionary: Dictionary

    def beginning(self, random: Random) -> Case:
        """A short case to begin with."""
        door = random.choice(self.doors)
        first = {Door.PORT: self._connect, Door.IO: self._open, Door.IOCTL: self._open_device}[door](random)
        return (first, *(self.step(random, door) for _ in range(random.randrange(1, 3))))

    def step(self, random: Random, door: Door | None = None) -> Step:
        """A step of any kind."""
        door = door or random.choice(self.doors)
        return random.choice(self._makers(door))(random)

    def _makers(self, door: Door) -> tuple[Callable[[Random], Step], ...]:
        """What makes the steps of a door; what matters most several times."""
        match door:
            case Door.PORT:
                return (*([self._send] * 8), self._connect, self._disconnect, self._get, self._reply)
            case Door.IOCTL:
                return (*([self._ioctl] * 8), self._open_device, self._transfer_device, self._close_device)
            case Door.IO:
                often = [self._open, self._transfer, self._by_class] * 3 + [self._fsctl, self._simple] * 2
                return (*often, self._write_text, self._attribute, self._lock)

    def number(self, random: Random, largest: int = 0xFFFF_FFFF) -> int:
        """A number that somebody may have forgotten to think of, or one that the driver knows."""
        known = self.dictionary.numbers
        # The driver's own code stands before that of its libraries.
        chosen = (
            known[int(len(known) * random.random() ** 2)] if known and random.random() < 0.75 else random.choice(EDGES)
        )
        return min(chosen, largest) if random.random() < 0.9 else random.randrange(largest + 1)

    def size(self, random: Random) -> int:
        """A size that a buffer may have."""
        known = [number for number in self.dictionary.numbers if number <= 4096]
        base = random.choice(known) if known and random.random() < 0.5 else random.choice(SIZES)
        return max(0, min(4096, base + random.choice((0, 0, 0, -1, 1, 8))))

    def data(self, random: Random) -> str:
        """Bytes, most often few; some that the driver knows."""
        size = min(self.size(random), 256) if random.random() < 0.9 else self.size(random)
        content = bytearray(random.randbytes(size) if random.random() < 0.3 else bytes(size))
        for _ in range(random.randrange(4)):
            word = self.word(random)
            at = (
                4 * random.randrange(len(content) // 4 + 1)
                if random.random() < 0.8
                else random.randrange(len(content) + 1)
            )
            content[at : at + len(word)] = word
        return bytes(content).hex()

    def word(self, random: Random) -> bytes:
        """A number or a text as bytes."""
        if self.dictionary.texts and random.random() < 0.1:
            text = random.choice(self.dictionary.texts)
            return text.encode(random.choice(("ascii", "utf-16-le")))
        number = self.number(random)
        width = random.choice((1, 2, 4, 4, 4, 8)) if number < 0x1_0000 else random.choice((4, 4, 4, 8))
        return (number & (1 << 8 * width) - 1).to_bytes(width, "little")

    def text(self, random: Random) -> str:
        """A name, or a part of one."""
        texts = self.dictionary.texts
        chosen = random.choice(texts) if texts and random.random() < 0.7 else random.choice(NAMES)
        if random.random() < 0.4:
            chosen = random.choice(("x", "file", "a" * random.randrange(1, 200), "")) + chosen
        if random.random() < 0.2:
            at = random.randrange(len(chosen) + 1)
            chosen = chosen[:at] + random.choice(("", ".", "x", "\\")) + chosen[at + random.randrange(2) :]
        return _plain(chosen)

    def path_near(self, random: Random, path: str) -> str:
        """A path that differs in a few characters."""
        if random.random() < 0.3:
            return self.path(random)
        letters = self.dictionary.letters if self.dictionary.letters and random.random() < 0.7 else _LETTERS
        for _ in range(random.randrange(1, 4)):
            piece = "." if random.random() < 0.2 else random.choice(letters)
            if self.dictionary.texts and random.random() < 0.3:
                piece = front(random, self.dictionary.texts)
            at = random.randrange(3, len(path) + 1) if random.random() < 0.5 else len(path)
            path = path[:at] + piece + path[at + random.randrange(2) :]
        return "V:\\" + _plain(path[3:200])

    def path(self, random: Random) -> str:
        """A path on the volume."""
        text = self.text(random) if random.random() < 0.6 else random.choice(NAMES)
        return "V:\\" + (text.rpartition(":\\")[2].lstrip("\\") or "a")

    # -- ports

    def _connect(self, random: Random) -> Step:
        port = random.choice(self.entrances.ports)
        keys = (("context", self.data(random)),) if random.random() < 0.3 else ()
        return Step("connect", (_connection(random), port), keys)

    def _send(self, random: Random) -> Step:
        keys: tuple[tuple[str, str], ...] = (("data", self.data(random)),)
        if random.random() < 0.5:
            keys += (("room", str(self.size(random))),)
        return Step("send-message", (_connection(random),), keys)

    def _disconnect(self, random: Random) -> Step:
        return Step("disconnect", (_connection(random),))

    def _get(self, random: Random) -> Step:
        return Step("get-message", (_connection(random),), (("timeout", "1"),))

    def _reply(self, random: Random) -> Step:
        return Step("reply", (_connection(random),), (("data", self.data(random)),))

    # -- devices

    def _open_device(self, random: Random) -> Step:
        return Step("open", ("d", random.choice(self.entrances.devices)), (("access", random.choice(("rw", "read"))),))

    def _ioctl(self, random: Random) -> Step:
        return self._control("ioctl", "d", random, self.dictionary.codes)

    def _control(self, verb: str, name: str, random: Random, codes: tuple[int, ...]) -> Step:
        code = front(random, codes) if codes and random.random() < 0.9 else self.number(random)
        if random.random() < 0.2:
            code = (code + 4 * random.randrange(-8, 9)) & 0xFFFF_FFFF
        keys: tuple[tuple[str, str], ...] = (("code", hex(code)),)
        keys += (("hex", self.data(random)),) if random.random() < 0.9 else ()
        keys += (("out", str(self.size(random))),) if random.random() < 0.7 else ()
        return Step(verb, (name,), keys)

    def _transfer_device(self, random: Random) -> Step:
        return Step(random.choice(("read", "write")), ("d",), (("length", str(self.size(random))), ("offset", "0")))

    def _close_device(self, _: Random) -> Step:
        return Step("close", ("d",))

    # -- files

    def _open(self, random: Random) -> Step:
        keys = [("access", "rw"), ("disposition", "open-if")]
        for key in ("access", "disposition", "options", "share", "attributes"):
            if random.random() < 0.2:
                keys = [item for item in keys if item[0] != key] + [(key, random.choice(WORDS["open", key]))]
        return Step("open", (_file(random), self.path(random)), tuple(keys))

    def _transfer(self, random: Random) -> Step:
        keys = (
            ("offset", str(random.choice((0, 0, 1, 511, 4096, self.number(random, FARTHEST))))),
            ("length", str(self.size(random))),
        )
        return Step(random.choice(("read", "write")), (_file(random),), keys)

    def _write_text(self, random: Random) -> Step:
        return Step("write", (_file(random),), (("text", self.text(random)), ("offset", "0")))

    def _by_class(self, random: Random) -> Step:
        verb = random.choice(("query", "query", "set", "query-volume", "directory"))
        chosen = random.choice(WORDS[verb, "class"])
        keys: tuple[tuple[str, str], ...] = (("class", chosen),)
        if verb == "set":
            moves = chosen in ("rename", "link")
            keys += (("path", self.path(random)),) if moves else (("value", str(self.number(random, FARTHEST))),)
        if verb == "directory" and random.random() < 0.5:
            keys += (("pattern", random.choice(("*", "a*", self.text(random)))),)
        return Step(verb, (_file(random),), keys)

    def _attribute(self, random: Random) -> Step:
        if random.random() < 0.3:
            return Step("query-ea", (_file(random),))
        keys = (("name", self.text(random).replace("\\", "")[:40] or "A"),)
        return Step("set-ea", (_file(random),), (*keys, ("text", self.text(random))))

    def _fsctl(self, random: Random) -> Step:
        return self._control("fsctl", _file(random), random, (*self.dictionary.codes, *FSCTLS))

    def _simple(self, random: Random) -> Step:
        verb = random.choice(("close", "close", "flush", "query-security", "set-security", "query-path", "delete"))
        operand = self.path(random) if verb in ("query-path", "delete") else _file(random)
        return Step(verb, (operand,))

    def _lock(self, random: Random) -> Step:
        verb = random.choice(("lock", "unlock"))
        return Step(verb, (_file(random),), (("offset", "0"), ("length", str(self.size(random)))))


def front(random: Random, some: Sequence[_Item]) -> _Item:
    """One of several, those in front more often."""
    return some[int(len(some) * random.random() ** 2)]


def _plain(text: str) -> str:
    """What may stand in a script."""
    return "".join(letter for letter in text if letter.isprintable() and letter not in '"=#') or "a"


def _connection(random: Random) -> str:
    return "p" if random.random() < 0.9 else "q"


def _file(random: Random) -> str:
    return random.choice(("f", "f", "f", "g"))
