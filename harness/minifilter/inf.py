"""What the INF of a user's minifilter says: its service, its instances, its files, and how it can be installed.

Only what a deployment needs is read: [Version], the DefaultInstall sections and what they name, [Strings]. Sources:
ifs/creating-an-inf-file-for-a-minifilter-driver.md, and "primitive drivers" of the driver installation documentation.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.errors import ConfigurationError
from harness.minifilter.altitude import Altitude

NO_AUTOMATIC_ATTACHMENT = 1
_LEFT_TO_YOU = "_TODO_"
REFERENCE_BUILD = 22631
"""The build that the reference kernel says it is, by which an INF is read for it."""
_DECORATED = re.compile(r"DefaultInstall(?P<arch>\.nt(?:amd64)?(?P<version>(?:\.[0-9]*)*))?", re.IGNORECASE)
_INSTANCES = re.compile(r"(Parameters\\)?Instances(\\(?P<name>[^\\]+))?", re.IGNORECASE)
_SECTION = re.compile(r"\[([^\]]+)\]")


@dataclass(frozen=True)
class InfInstance:
    """One instance of a minifilter, as its INF registers it.

    `altitude` is None where the INF is Visual Studio's template, whose `_TODO_Change_Altitude_…` nobody has replaced.
    """

    name: str
    altitude: Altitude | None
    attaches_by_itself: bool


class Inf:
    """A minifilter's INF; ConfigurationError names the file and what is missing in it."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self._sections = _parse(text)
        strings = self._lines("strings")
        self._strings = {key.strip().lower(): _unquoted(value) for key, _, value in (x.partition("=") for x in strings)}

    @classmethod
    def read(cls, path: Path) -> "Inf":
        """Read a file in any encoding that Windows takes."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read", details=(str(error),)) from error
        data = stamped(data)
        encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
        try:
            return cls(data.decode(encoding), path.name)
        except UnicodeDecodeError:
            return cls(data.decode("cp1252", "replace"), path.name)

    def install_section(self, build: int) -> str:
        """The section that is installed: the DefaultInstall of the latest version reached, or else that of a device."""
        found = max(self._candidates(build), default=None)
        return found[2] if found is not None else self._of_a_device(build)[0]

    def device(self, build: int) -> str | None:
        """The hardware id of the device that Windows installs it for alone; None if it has a DefaultInstall."""
        return None if any(self._candidates(build)) else self._of_a_device(build)[1]

    def is_primitive(self, build: int) -> bool:
        """Whether pnputil can install it: its DefaultInstall names the architecture."""
        return "amd64" in self.install_section(build)

    @cached_property
    def catalog(self) -> str | None:
        """The catalog that [Version] names."""
        return (
            self._value("version", "catalogfile.ntamd64")
            or self._value("version", "catalogfile.nt")
            or self._value("version", "catalogfile")
        )

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The files that [SourceDisksFiles] says come with it, or a CopyFiles names alone: `@X.sys`."""
        lines = [*self._lines("sourcedisksfiles"), *self._lines("sourcedisksfiles.amd64")]
        copied = [
            word.strip() for section in self._sections for word in (self._value(section, "copyfiles") or "").split(",")
        ]
        names = [self._text(line.partition("=")[0]) for line in lines]
        return tuple(dict.fromkeys([*names, *(word[1:] for word in copied if word.startswith("@"))]))

    def service(self, build: int) -> str:
        """The name of the service that it adds."""
        return self._service(build)[0]

    def instances(self, build: int) -> tuple[InfInstance, ...]:
        """The instances it registers, the default one first."""
        values: dict[str, dict[str, str]] = {}
        default = ""
        for fields in self._registry(build):
            root, key, name = [*fields, "", "", ""][:3]
            found = _INSTANCES.fullmatch(key)
            if root.upper() != "HKR" or found is None:
                continue
            if name.lower() == "defaultinstance":
                default = fields[-1]
            elif found["name"]:
                values.setdefault(found["name"], {})[name.lower()] = fields[-1]
        instances = [self._instance(name, given) for name, given in values.items()]
        if not instances:
            lost = self._unread_instances(build)
            raise self._error(
                "it registers no instance with an altitude",
                r"HKR,Instances\<name>,Altitude,…"
                if lost is None
                else f"AddReg = {lost} in [{self._service(build)[1]}]",
            )
        return tuple(sorted(instances, key=lambda item: item.name.lower() != default.lower()))

    def _instance(self, name: str, values: Mapping[str, str]) -> InfInstance:
        if "altitude" not in values:
            raise self._error(f"the instance {name!r} has no altitude", r"HKR,Instances\<name>,Altitude,…")
        flags = int(values.get("flags", "0") or "0", 0)
        return InfInstance(name, self._altitude(name, values["altitude"]), not flags & NO_AUTOMATIC_ATTACHMENT)

    def _altitude(self, name: str, text: str) -> Altitude | None:
        if text.startswith(_LEFT_TO_YOU):
            return None
        try:
            return Altitude(text)
        except ConfigurationError as error:
            raise self._error(f"the altitude {text!r} of the instance {name!r} is none", error.hint or "") from error

    def _candidates(self, build: int) -> Iterator[tuple[tuple[int, ...], int, str]]:
        """Version, how closely the architecture is named, and name of each DefaultInstall section that applies."""
        for name in self._sections:
            match = _DECORATED.fullmatch(name)
            if match is None:
                continue
            # .OSMajor.OSMinor.ProductType.SuiteMask.Build; what is left out is 0.
            parts = [int(part or 0) for part in (match["version"] or "").split(".")[1:]]
            major, minor, _, _, least = [*parts, 0, 0, 0, 0, 0][:5]
            wanted = (major, minor, least)
            if wanted <= (10, 0, build):
                yield wanted, len(match["arch"] or ""), name

    def _of_a_device(self, build: int) -> tuple[str, str]:
        """The install section that a model of [Manufacturer] names and that adds a service, and the hardware id."""
        for maker in self._lines("manufacturer"):
            models, *systems = self._fields(maker.partition("=")[2])
            for name in (models, *(f"{models}.{system.strip()}" for system in systems if "amd64" in system.lower())):
                for model in self._lines(name):
                    section, hardware, *_ = [*self._fields(model.partition("=")[2]), ""]
                    for decorated in (f"{section}.ntamd64", f"{section}.nt", section):
                        if self._lines(f"{decorated}.services"):
                            return decorated.lower(), hardware
        raise self._error("it has no DefaultInstall section for this Windows", f"x64, build {build}")

    def _service(self, build: int) -> tuple[str, str]:
        for line in self._lines(f"{self.install_section(build)}.services"):
            key, _, value = line.partition("=")
            fields = self._fields(value)
            if key.strip().lower() == "addservice" and len(fields) >= 3 and fields[0]:
                return fields[0], fields[2]
        raise self._error(
            "its DefaultInstall adds no service", "AddService = <name>,,<section> in its .Services section"
        )

    def registry(self, build: int) -> list[list[str]]:
        """The lines of its AddReg sections, in fields: root, key, name, flags, data."""
        return list(self._registry(build))

    def _registry(self, build: int) -> Iterator[list[str]]:
        for name in self._registered_by(build):
            for line in self._lines(name):
                yield self._fields(line)

    def _registered_by(self, build: int) -> list[str]:
        """The sections that AddReg names, of what is installed and of its service."""
        sections = [self._service(build)[1], self.install_section(build)]
        named = (self._value(section, "addreg") or "" for section in sections)
        return [part.strip() for names in named for part in names.split(",")]

    def _unread_instances(self, build: int) -> str | None:
        """A section that registers an instance, while no AddReg of what is installed names it."""
        read = {name.lower() for name in self._registered_by(build)}
        for section, lines in self._sections.items():
            keys = ([*self._fields(line), "", ""][1] for line in lines)
            if section not in read and any(_INSTANCES.fullmatch(key) for key in keys):
                return section
        return None

    def _fields(self, line: str) -> list[str]:
        return [self._text(field) for field in _split(line)]

    def _lines(self, section: str) -> Sequence[str]:
        return self._sections.get(section.lower(), ())

    def _value(self, section: str, key: str) -> str | None:
        for line in self._lines(section):
            name, separator, value = line.partition("=")
            if separator and name.strip().lower() == key:
                return self._text(value)
        return None

    def _text(self, word: str) -> str:
        """A word without its quotes, its %strings% put in."""
        plain = _unquoted(word)
        return re.sub(r"%([^%]+)%", lambda found: self._strings.get(found[1].lower(), found[0]), plain)

    def _error(self, what: str, expected: str) -> ConfigurationError:
        return ConfigurationError(f"{self.name} cannot be used: {what}", details=(f"expected: {expected}",))


def stamped(data: bytes) -> bytes:
    """An INF as stampinf of the driver kit leaves it in a build for x64: the `$ARCH$` of a project's is amd64."""
    for encoding in ("ascii", "utf-16-le"):
        wanted = re.escape("$ARCH$".encode(encoding))
        data = re.sub(wanted, "amd64".encode(encoding), data, flags=re.IGNORECASE)
    return data


def default_altitude(path: Path) -> Altitude | None:
    """The altitude of the instance that an INF registers first; None if it leaves that open."""
    return Inf.read(path).instances(REFERENCE_BUILD)[0].altitude


def _parse(text: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in _logical_lines(text):
        found = _SECTION.fullmatch(line)
        if found is not None:
            current = sections.setdefault(found[1].strip().lower(), [])
        else:
            current.append(line)
    return sections


def _logical_lines(text: str) -> Iterator[str]:
    """Lines without comments; one that ends with a backslash goes on in the next."""
    begun = ""
    for raw in text.splitlines():
        line = begun + _without_comment(raw).strip()
        if line.endswith("\\") and not line.endswith('\\"'):
            begun = line[:-1]
            continue
        begun = ""
        if line:
            yield line


def _without_comment(line: str) -> str:
    quoted = False
    for at, character in enumerate(line):
        quoted ^= character == '"'
        if character == ";" and not quoted:
            return line[:at]
    return line


def _split(line: str) -> Iterator[str]:
    """The fields of a line: commas within quotes do not part them."""
    field, quoted = "", False
    for character in line:
        quoted ^= character == '"'
        if character == "," and not quoted:
            yield field
            field = ""
        else:
            field += character
    yield field


def _unquoted(word: str) -> str:
    r"""A word without quotes; a key such as `"Instances\"%Name%` has them in the middle too."""
    return word.strip().replace('""', "\0").replace('"', "").replace("\0", '"')
