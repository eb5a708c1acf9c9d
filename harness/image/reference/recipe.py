"""The reference image's recipe: vm-images/reference/image.yaml, and the `init` beside it."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import ConfigurationError
from harness.shipped import IMAGES

DEFAULT_DIRECTORY = IMAGES / "reference"


class Modules(BaseModel):
    """Kernel modules to load: in the initramfs, to reach the system; in the system, for the rest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    initramfs: tuple[str, ...]
    system: tuple[str, ...]


class Recipe(BaseModel):
    """What image.yaml says, and what stands beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Literal["reference"]
    description: str
    memory_mib: int = Field(ge=128)
    data_disk_mib: int = Field(ge=16)
    packages: tuple[str, ...]
    kernel: dict[str, str]
    modules: Modules
    python: tuple[str, ...]
    remove: tuple[str, ...]
    init: bytes


def load_recipe(directory: Path = DEFAULT_DIRECTORY) -> Recipe:
    """Read the recipe in a directory; raise ConfigurationError that says what is wrong with it."""
    path = directory / "image.yaml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Recipe.model_validate({**values, "init": (directory / "init").read_bytes()})
    except ValidationError as error:
        problems = tuple(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ConfigurationError(f"{path} is not a recipe for the reference image", details=problems) from error
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise ConfigurationError(f"{path} cannot be read", details=(str(error),)) from error
