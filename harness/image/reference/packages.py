"""Where the image's packages come from: the very sources and settings of apt on this machine.

So the image follows the machine's own distribution, mirror, proxy and keys, and no file of fltlab names a server.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigurationError, HostError

APT = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")
POCKETS = ("", "-updates", "-security")


@dataclass(frozen=True)
class Distribution:
    """This machine's distribution, from /etc/os-release."""

    identifier: str
    codename: str


def distribution(os_release: Path = OS_RELEASE) -> Distribution:
    """Return this machine's distribution; raise HostError where it is not one with apt."""
    values = dict(
        line.replace('"', "").split("=", 1)
        for line in os_release.read_text(encoding="utf-8").splitlines()
        if "=" in line
    )
    if "VERSION_CODENAME" not in values:
        raise HostError(
            f"the reference image is built from Debian or Ubuntu packages, and {os_release} names no release of them",
            hint="build it on Debian 12 or newer, or Ubuntu, and copy FLTLAB_HOME",
        )
    return Distribution(values.get("ID", ""), values["VERSION_CODENAME"])


def kernel_package(kernels: dict[str, str], system: Distribution) -> str:
    """Return the kernel package for a distribution."""
    try:
        return kernels[system.identifier]
    except KeyError as error:
        raise ConfigurationError(
            f"the reference image's recipe names no kernel package for {system.identifier!r}",
            details=(f"it names some for {', '.join(sorted(kernels))}",),
            hint="add one to `kernel` in vm-images/reference/image.yaml",
        ) from error


def sources(system: Distribution, apt: Path = APT) -> str:
    """Return this machine's apt sources of the distribution itself; those of others are left out.

    Raises HostError when there are none.
    """
    suites = {system.codename + pocket for pocket in POCKETS}
    found: list[str] = []
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        found.extend(_deb822(path, suites))
    for path in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))):
        if path.exists():
            found.extend(_one_line(path, suites))
    if not found:
        raise HostError(
            f"no package source for {system.codename} in {apt}",
            details=(f"looked for the suites {', '.join(sorted(suites))} with the component main",),
            hint="apt-get update must work on this machine before the image can be built",
        )
    return "\n\n".join(found) + "\n"


def settings() -> list[str]:
    """Return how apt reaches its sources here (proxies, certificates, time checks), one setting an item."""
    done = subprocess.run(
        ["apt-config", "dump", "--no-empty", "--format", '%F "%v";%n', "Acquire"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return [line for line in done.stdout.splitlines() if not line.startswith("Acquire::IndexTargets")]


def _deb822(path: Path, suites: set[str]) -> Iterator[str]:
    """Yield the stanzas of a .sources file that are of these suites, as one-line entries."""
    for stanza in path.read_text(encoding="utf-8").split("\n\n"):
        fields: dict[str, str] = {}
        last = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in {" ", "\t"} and last:
                fields[last] += "\n" + line.strip()
            elif ":" in line:
                last, _, value = line.partition(":")
                last = last.strip().lower()
                fields[last] = value.strip()
        if fields.get("enabled", "yes").lower() == "no" or "deb" not in fields.get("types", "").split():
            continue
        components = fields.get("components", "").split()
        key = fields.get("signed-by", "")
        options = f"[signed-by={key}] " if key.startswith("/") else ""
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                if suite in suites and "main" in components:
                    yield f"deb {options}{uri} {suite} {' '.join(components)}"


def _one_line(path: Path, suites: set[str]) -> Iterator[str]:
    """Yield the lines of a .list file that are of these suites."""
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split("#", 1)[0].strip()
        words = text.split("]", 1)[-1].split() if "]" in text else text.split()[1:]
        if text.startswith(("deb ", "deb\t")) and len(words) > 2 and words[1] in suites and "main" in words[2:]:
            yield text
