"""What a guest needs of the machine that it is started on."""

from collections.abc import Iterable

from harness.cluster.groups import Needs
from harness.fleet.guest_name import GuestName
from harness.fleet.settings import LOCAL_GUEST, Settings
from harness.guest import GuestKind
from harness.image.store import Image

REFERENCE_MIB = 512
"""A template of the reference guest, the one that it was made from, and a fork."""
TEMPLATE_SECONDS = {GuestKind.REFERENCE: 4.0, GuestKind.WINDOWS: 30.0}
"""What it takes to make a template with a stack; measured under TCG, and guessed from a boot under KVM."""
IMAGE_SECONDS = 120.0
"""What it takes to fetch a Windows of some 15 GiB over a network of 1 Gbit/s."""


def image_of(guest: str) -> str:
    """The name of the image of a guest; "" for one that needs none."""
    name = GuestName.parse(guest).image
    return "" if name == LOCAL_GUEST else name


def windows_images_of(settings: Settings) -> list[Image]:
    """The Windows images of a run, as they are on this machine."""
    from harness.fleet.providers import kind_of

    wanted = {image_of(guest) for guest in settings.guests if kind_of(guest) is GuestKind.WINDOWS}
    if not wanted:
        return []
    from harness.fleet.windows_guest import windows_images

    return [image for name, image in windows_images(settings.image_directory).items() if name in wanted]


def needs_of(settings: Settings, images: Iterable[Image]) -> dict[str, Needs]:
    """What each guest of a run needs. Windows without KVM is not worth the time, unless it is asked for."""
    from harness.fleet.providers import kind_of

    memory = {image.name: int(str(image.facts["memory_mib"])) for image in images}
    found: dict[str, Needs] = {}
    for guest in settings.guests:
        name, kind = image_of(guest), kind_of(guest)
        if not name:
            found[guest] = Needs()
            continue
        windows = kind is GuestKind.WINDOWS
        found[guest] = Needs(
            memory_mib=memory.get(name, REFERENCE_MIB),
            kvm=settings.accelerator == "kvm" or (windows and settings.accelerator is None),
            image=name,
            image_seconds=IMAGE_SECONDS if windows else 0.0,
            template_seconds=TEMPLATE_SECONDS[kind],
        )
    return found
