"""What `fltlab doctor` asks about images."""

import sys

from harness.errors import FltLabError
from harness.host.checks import Check, Status
from harness.image.store import ImageStore, verify


def check_images(store: ImageStore | None = None) -> list[Check]:
    """Whether each image in the store is what it was when it was built."""
    store = store if store is not None else ImageStore()
    checks: list[Check] = []
    for directory in store.directories():
        name = f"image {directory.parent.name}"
        try:
            image = verify(directory)
            checks.append(Check(name, Status.OK, f"{image.key[:12]} in {directory}"))
        except FltLabError as error:
            remedy = f"fltlab image build {directory.parent.name}   builds it again"
            again = (sys.executable, "-m", "harness.cli", "image", "build", directory.parent.name)
            checks.append(Check(name, Status.FAILED, error.message, remedy, again))
    if not checks:
        checks.append(Check("images", Status.OK, "none yet: the first run builds the reference image"))
    return checks
