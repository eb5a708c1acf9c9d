"""From what the user asks for to a plan that can be built: what can be wrong is found before anything starts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.host import fingerprint
from harness.image.windows.edition import choose_edition
from harness.image.windows.foreign_disk import ForeignDisk, look_at_disk
from harness.image.windows.media import Media, check_digest, read_media
from harness.image.windows.plan import Extras, Plan, Source, build_inputs
from harness.image.windows.product_key import read_product_key
from harness.image.windows.recipe import InstallMode, load_recipe
from harness.shipped import IMAGES

PLACEHOLDER = "Placeholder-0-is-not-used"
"""What stands for the password where nothing is built: in a dry run, and where the inputs are only compared."""


@dataclass(frozen=True)
class Request:
    """What the user asks for: an image by its name, made from an ISO or from a disk that has Windows on it."""

    name: str
    iso: Path | None = None
    disk: Path | None = None
    sha256: str | None = None
    edition: str | None = None
    mode: InstallMode = InstallMode.APPLY
    product_key: str | None = field(default=None, repr=False)
    activate: bool = False
    extras: Extras = field(default_factory=Extras)
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """A plan, the media it needs, and the key of all that goes into the image."""

    plan: Plan
    media: Media | None
    disk: ForeignDisk | None
    key: str

    @property
    def source(self) -> Path:
        """The user's file that the image is made from."""
        found = self.media.path if self.media is not None else self.disk.path if self.disk is not None else None
        assert found is not None
        return found


def prepare(request: Request) -> Prepared:
    """Look at everything the user gave; raise ConfigurationError for whatever does not fit."""
    recipe = load_recipe(request.name, overrides=request.overrides)
    key = request.product_key
    if key is None and recipe.product_key is not None:
        key = read_product_key(IMAGES / recipe.name / recipe.product_key.expanduser())
    media, disk = None, None
    if request.iso is not None:
        media = read_media(request.iso)
        edition = choose_edition(media, recipe, request.edition)
        plan = Plan(recipe, Source.ISO, edition, request.mode, key, request.extras, request.activate)
    else:
        assert request.disk is not None
        disk = look_at_disk(request.disk)
        plan = Plan(recipe, Source.DISK, None, product_key=key, extras=request.extras, activate=request.activate)
    source = media.path if media is not None else disk.path if disk is not None else None
    if request.sha256 is not None and source is not None:
        check_digest(source, request.sha256)
    return Prepared(plan, media, disk, _key(plan, media, disk))


def _key(plan: Plan, media: Media | None, disk: ForeignDisk | None) -> str:
    inputs = build_inputs(plan, PLACEHOLDER)
    return fingerprint.of_facts(
        {
            "recipe": plan.recipe.model_dump(mode="json", exclude={"description", "licence", "product_key"}),
            "mode": plan.mode,
            "activate": plan.activate,
            "edition": repr(plan.edition),
            "inputs": {name: hashlib.sha256(content).hexdigest() for name, content in inputs.items()},
            "media": [media.size, media.label, [repr(edition) for edition in media.editions]] if media else None,
            "disk": [disk.virtual_size, disk.format, disk.path.stat().st_mtime_ns] if disk else None,
        }
    )
