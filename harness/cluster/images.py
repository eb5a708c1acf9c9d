"""Images of guests on the machines of a cluster: from the store, or built once and put there.

Templates are no part of this. A template is the memory of a guest on one machine: it fits one processor, one QEMU and
one accelerator, it is larger than its image, and it holds the passwords of its guest in clear. To make one takes
seconds; every machine makes its own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cluster import built_once
from harness.cluster.sealed import RunKey
from harness.cluster.store import Store
from harness.errors import HostError
from harness.host import fingerprint
from harness.host.regular import kept_json
from harness.image.store import KEY_LENGTH, MANIFEST, Image, ImageStore

BUILT = "image"
"""Names of images by what they are built from."""
CONTENT = "image-content"
"""Names of images by what is in them: one that is built anew has its old key, and another Windows in it."""


@dataclass(frozen=True)
class StoredImage:
    """An image in the store, as a task may have it: nothing of it is secret.

    `secrets` is the digest of its sealed credentials; "" for an image that has none, as the reference image.
    """

    name: str
    key: str
    digest: str
    secrets: str = ""

    @property
    def text(self) -> str:
        """What its secrets belong to."""
        return f"{self.name} {self.key}"


def put_image(store: Store, image: Image, run_key: RunKey) -> StoredImage:
    """Put an image of this machine into the store; its credentials, if it has any, sealed for one run."""
    from harness.image.windows import credentials

    named = f"{image.name}-{fingerprint.of_facts(image.digests)[:KEY_LENGTH]}"
    digest = built_once.find(store, CONTENT, named)  # so that not every run reads all of it
    if digest is None:
        digest = store.put(image.directory, ()).digest
        built_once.name(store, CONTENT, named, digest)
    stored = StoredImage(image.name, image.key, digest)
    file = credentials.credentials_file(image.name, image.key)
    if not file.exists():
        return stored
    kept = credentials.load(file)
    secrets = {"user": kept.user, "password": kept.password, "ssh_key": kept.ssh_key}
    return StoredImage(image.name, image.key, digest, store.put_bytes(run_key.seal(stored.text, secrets)))


def fetch_image(
    store: Store, stored: StoredImage, run_key: RunKey | None = None, images: ImageStore | None = None
) -> Image:
    """The image on this machine, fetched unless it is here; its credentials where they are on the machine of its build.

    HostError if the store has something else in its place, its secrets are not this run's, or the disk is full.
    """
    if stored.secrets:
        _keep_credentials(store, stored, run_key)

    def fill(directory: Path) -> dict[str, Any]:
        store.fetch_into(stored.digest, directory / "tree")
        for path in (directory / "tree").iterdir():
            path.rename(directory / path.name)
        (directory / "tree").rmdir()
        return _facts(directory, stored)

    return (images or ImageStore()).get_or_build(stored.name, stored.key, fill)


def reference_image(store: Store, images: ImageStore | None = None) -> Image:
    """The reference image that this machine's fltlab wants: here, in the store, or built by one of the machines.

    Its key says what it is made of, this machine's distribution among it: machines of different ones have their own.
    """
    from harness.image.reference.builder import build, image_key
    from harness.image.reference.packages import distribution
    from harness.image.reference.recipe import load_recipe

    images = images or ImageStore()
    recipe = load_recipe()
    key = image_key(recipe, distribution())

    def make() -> Path:
        return build(recipe, images).directory

    digest = built_once.built_once(store, BUILT, f"{recipe.name}-{key[:KEY_LENGTH]}", make)
    return fetch_image(store, StoredImage(recipe.name, key, digest), images=images)


def _facts(directory: Path, stored: StoredImage) -> dict[str, Any]:
    """What the image's own manifest says of it, which is then made anew."""
    path = directory / MANIFEST
    try:
        values = kept_json(path)
        facts, name, key = dict(values["facts"]), values["name"], values["key"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HostError(f"what the store has as the image {stored.name} is none", details=(str(error),)) from error
    if (name, key) != (stored.name, stored.key):
        raise HostError(f"what the store has as the image {stored.name} calls itself {name} ({key[:12]})")
    path.unlink()
    return facts


def _keep_credentials(store: Store, stored: StoredImage, run_key: RunKey | None) -> None:
    from harness.image.windows import credentials

    if run_key is None:
        raise HostError(f"the image {stored.name} has a password, and this run has given no key to read it")
    file = credentials.credentials_file(stored.name, stored.key)
    secrets = run_key.open(stored.text, store.get_bytes(stored.secrets))
    try:
        wanted = credentials.Credentials(secrets["user"], secrets["password"], secrets["ssh_key"])
        if not file.exists() or credentials.load(file) != wanted:
            credentials.save(wanted, file)
    except (KeyError, OSError) as error:
        raise HostError(f"the credentials of the image {stored.name} cannot be kept", details=(str(error),)) from error
