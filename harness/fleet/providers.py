"""Where guests come from: one provider for each name that `--guest` takes."""

from collections.abc import Callable, Mapping

from harness.errors import ConfigurationError, did_you_mean
from harness.fleet.guest_name import GuestName
from harness.fleet.provider import Provider
from harness.fleet.settings import Settings
from harness.guest import GuestKind


def _local(settings: Settings, system: str) -> Provider:
    from harness.fleet.local_guest import LocalProvider

    return LocalProvider(settings, system)


def _reference(settings: Settings, system: str) -> Provider:
    from harness.fleet.reference_guest import ReferenceProvider

    return ReferenceProvider(settings, system)


PROVIDERS: Mapping[str, Callable[[Settings, str], Provider]] = {
    "reference": _reference,
    "reference-local": _local,
}


def kind_of(name: str) -> GuestKind:
    """What the guests of a name are."""
    known = GuestName.parse(name).image
    return GuestKind(known) if known in PROVIDERS else GuestKind.WINDOWS


def require_guest(name: str, settings: Settings) -> None:
    """Raise ConfigurationError if there is no guest of this name: an unknown name is the user's mistake."""
    parts = GuestName.parse(name)
    image = parts.image
    if settings.record is not None and image == "reference":
        raise ConfigurationError(
            "--record is for Windows guests: a reference guest is frozen with its stack, and was told before the run",
            hint="--guest windows-…, or --guest reference-local to try it",
        )
    if settings.replay is not None:
        from harness.fleet.recorded_guest import recorded_guests

        if name not in recorded_guests(settings.replay):
            raise ConfigurationError(
                f"there is no guest {name!r} in the recording {settings.replay}",
                details=(f"guests: {', '.join(recorded_guests(settings.replay))}",),
            )
        return
    _require_parts(name, parts)
    if image in PROVIDERS:
        return
    from harness.fleet.windows_guest import windows_images
    from harness.image.windows.recipe import windows_images as known_images

    built = windows_images(settings.image_directory)
    if image in built:
        return
    if image in known_images():
        raise ConfigurationError(
            f"the image {image} has not been built",
            details=("its Windows comes from an ISO or a disk of yours",),
            hint=f"fltlab image build {image} --iso FILE   (docs/windows.md)",
        )
    known = [*PROVIDERS, *built]
    raise ConfigurationError(
        f"there is no guest called {name!r}{did_you_mean(name, [*known, *known_images()])}",
        details=(f"guests: {', '.join(known)}",),
    )


def _require_parts(name: str, parts: GuestName) -> None:
    """Raise ConfigurationError for a file system or a level that there is not, or that is not for this guest."""
    if str(parts) != name:
        raise ConfigurationError(
            f"{name!r} is no name of a guest", hint="a name is IMAGE, IMAGE+FILESYSTEM, or IMAGE+FILESYSTEM@LEVEL"
        )
    if parts.file_system:
        from harness.guest.data_disk import parse_file_system

        parse_file_system(parts.file_system)
    if parts.verifier:
        from harness.guest.verifier import parse_level

        parse_level(parts.verifier)
        if parts.image in PROVIDERS:
            raise ConfigurationError(
                f"{name}: Driver Verifier is for Windows guests",
                details=("the reference kernel's own verifier is always on",),
                hint=f"--guest {GuestName(parts.image, parts.file_system)}",
            )


def provider_for(name: str, settings: Settings) -> Provider:
    """The provider of a guest's name."""
    require_guest(name, settings)
    if settings.replay is not None:
        from harness.fleet.recorded_guest import RecordedProvider

        return RecordedProvider(name, settings.replay)
    parts = GuestName.parse(name)
    if parts.image in PROVIDERS:
        return PROVIDERS[parts.image](settings, parts.file_system)
    from harness.fleet.windows_guest import WindowsProvider

    return WindowsProvider(name, settings)
