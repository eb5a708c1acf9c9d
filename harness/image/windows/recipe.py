"""What a Windows image is made of: `vm-images/<name>/image.yaml` over `vm-images/common/windows/defaults.yaml`."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import ConfigurationError
from harness.guest.words import LANGUAGES
from harness.shipped import IMAGES

COMMON = IMAGES / "common" / "windows"
DEFAULTS = COMMON / "defaults.yaml"

ACCOUNT = "fltlab-user"
"""Who comes in over WinRM, an administrator that the answer file makes. What the built-in one is called depends on the
language: an answer file knows it as `Administrator` everywhere, nothing else does."""


class WinRmMode(StrEnum):
    """How the guest takes WinRM."""

    NTLM = "ntlm"
    """HTTP on port 5985, NTLM with every message encrypted: Windows' own default."""

    HTTPS = "https"
    """HTTPS on port 5986 with the image's own certificate, NTLM inside."""

    BASIC = "basic"
    """HTTP with Basic authentication, unencrypted. Only where it is asked for."""


class OpenSsh(StrEnum):
    """Whether the guest has an SSH server, for SFTP."""

    NONE = "none"
    INBOX = "inbox"
    ARCHIVE = "archive"


class InstallMode(StrEnum):
    """Who puts Windows on the disk."""

    APPLY = "apply"
    """Our own batch file in Windows PE: diskpart, dism, bcdboot."""

    SETUP = "setup"
    """Windows Setup with a classic answer file."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Release(_Model):
    """Which Windows this is. An ISO of a release built on an older one reports the older build: both are listed."""

    product: Literal["client", "server"]
    version: str
    builds: tuple[int, ...] = Field(min_length=1)


class MachineSize(_Model):
    """The machine an image is built and used on."""

    memory_mib: int = Field(ge=2048)
    processors: int = Field(ge=1)
    system_disk_gib: int = Field(ge=24)
    data_disk_mib: int = Field(ge=64)
    tpm: bool
    secure_boot: bool


class Provisioning(_Model):
    """What is set up in the guest."""

    winrm: WinRmMode
    openssh: OpenSsh
    test_signing: bool
    computer_name: str = Field(pattern=r"^[A-Z0-9][A-Z0-9-]{0,14}$")
    time_zone: str
    kernel_debugger: Literal["off", "serial"]


class Recipe(_Model):
    """A Windows image, as its image.yaml and the defaults describe it.

    `editions` are edition ids in the order of preference; `installation` is the kind of installation that a WIM names
    (Client, Server, Server Core). `product_key` is a file with a key, readable by its owner only.
    """

    name: str
    kind: Literal["windows"]
    description: str
    release: Release
    editions: tuple[str, ...] = Field(min_length=1)
    installation: str
    language: str = Field(pattern=r"^[a-z]{2,3}-[A-Z]{2}$")
    licence: str
    product_key: Path | None = None
    machine: MachineSize
    provisioning: Provisioning


def load_recipe(name: str, images: Path = IMAGES, *, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read the recipe of an image; `overrides` (as nested mappings) are the user's options.

    Raises ConfigurationError that names the file and every wrong key.
    """
    path = images / name / "image.yaml"
    if not path.is_file():
        known = ", ".join(windows_images(images)) or "none"
        raise ConfigurationError(f"there is no Windows image {name!r}", details=(f"known: {known}",))
    values = _merged(_merged(_read(DEFAULTS), _read(path)), overrides or {})
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        problems = tuple(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ConfigurationError(f"{path} is not a recipe for a Windows image", details=problems) from error
    if recipe.name != name:
        raise ConfigurationError(f"{path} calls its image {recipe.name!r}; it must be {name!r}, as its directory")
    if recipe.language.split("-")[0] not in LANGUAGES:
        raise ConfigurationError(
            f"{name}: fltlab has no table of what Windows' programs print in {recipe.language}",
            details=(f"languages: {', '.join(LANGUAGES)}",),
            hint="use an ISO in one of these, best en-US",
        )
    if recipe.machine.secure_boot and recipe.provisioning.test_signing:
        raise ConfigurationError(
            f"{name}: Secure Boot and test signing exclude each other",
            details=("with Secure Boot on, Windows loads drivers with a production signature only",),
            hint="leave secure_boot off, or set provisioning.test_signing to false and test signed drivers",
        )
    return recipe


def windows_images(images: Path = IMAGES) -> tuple[str, ...]:
    """Return the names of all Windows images that there is a recipe for."""
    return tuple(sorted(path.parent.name for path in images.glob("windows-*/image.yaml")))


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read", details=(str(error),)) from error
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path} is no mapping of keys to values")
    return values


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return two nested mappings as one; where both say something, `above` wins."""
    result = dict(below)
    for key, value in above.items():
        known = result.get(key)
        result[key] = _merged(known, value) if isinstance(known, dict) and isinstance(value, Mapping) else value
    return result
