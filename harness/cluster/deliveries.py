"""What the workers of a run are sent, by way of the store: trees, drivers that are built, images.

A delivery is plain data without a secret in it: digests. The key of the run, which opens the secrets of its images,
goes another way (sealed.py).
"""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.cluster.images import StoredImage, fetch_image, put_image, reference_image
from harness.cluster.pruning import prune_cache, prune_daily
from harness.cluster.sealed import RunKey
from harness.cluster.store import Store
from harness.fleet import delivered
from harness.image.store import Image
from harness.minifilter.build import BuiltDriver


@dataclass(frozen=True)
class Delivery:
    """What a run sends to its workers."""

    store: str
    """The name of the store, as fsspec takes it."""
    trees: Mapping[str, str] = field(default_factory=dict)
    """Directories of the coordinator's machine, each with the digest of what is in it."""
    drivers: str = ""
    """The digest of the drivers that are built; "" if workers build them."""
    images: tuple[StoredImage, ...] = ()
    secrets: tuple[str, ...] = ()
    """Files that were left out, since they look secret: to be told to the user."""

    def to_data(self) -> dict[str, Any]:
        """As plain data, for a job."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Delivery":
        """What `to_data` gave."""
        images = tuple(StoredImage(**image) for image in data["images"])
        return cls(**{**data, "images": images, "secrets": tuple(data["secrets"])})


@dataclass(frozen=True)
class Received:
    """What has arrived on a worker's machine."""

    trees: Mapping[str, Path]
    """The coordinator's directories, each with where its content is here."""
    environment: Mapping[str, str]
    """What processes that run tests must have in their environment."""
    images: tuple[Image, ...] = ()

    def path(self, there: str) -> str:
        """A path of the coordinator's machine as it is here; the same if it is in none of the trees."""
        found = [tree for tree in self.trees if Path(there).is_relative_to(tree)]
        if not found:
            return there
        longest = max(found, key=len)
        return str(self.trees[longest] / Path(there).relative_to(longest))


def send(
    store: Store,
    directories: Iterable[Path],
    built: Mapping[str, BuiltDriver],
    images: Iterable[Image],
    run_key: RunKey,
) -> Delivery:
    """Put into the store what a run's workers need of this machine; what no run has wanted for long goes."""
    secrets: list[str] = []
    trees: dict[str, str] = {}
    for directory in directories:
        put = store.put(directory)
        trees[str(directory)] = put.digest
        secrets += [str(directory / name) for name in put.secrets]
    drivers = ""
    if built:
        with tempfile.TemporaryDirectory(prefix="fltlab-drivers-") as name:
            delivered.lay_out(built, Path(name))
            drivers = store.put(Path(name)).digest
    stored = tuple(put_image(store, image, run_key) for image in images)
    prune_daily(store)
    return Delivery(store.url, trees, drivers, stored, tuple(secrets))


def receive(delivery: Delivery, run_key: RunKey | None = None, *, reference: bool = False) -> Received:
    """Fetch what is not on this machine yet; with `reference`, have the reference image here too, built if it must be.

    What no run here has wanted for long goes.
    HostError if something is not what it should be, or has no room.
    """
    store = Store(delivery.store)
    trees = {directory: store.fetch(digest) for directory, digest in delivery.trees.items()}
    environment = {delivered.VARIABLE: str(store.fetch(delivery.drivers))} if delivery.drivers else {}
    images = [fetch_image(store, image, run_key) for image in delivery.images]
    if reference:
        images.append(reference_image(store))
    prune_cache()
    return Received(trees, environment, tuple(images))
