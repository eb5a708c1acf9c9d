"""`fltlab image`: the images of guests."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.errors import ConfigurationError, did_you_mean
from harness.host.disk import used_bytes
from harness.image.reference import builder
from harness.image.store import Image, ImageStore, verify

if TYPE_CHECKING:
    from harness.image.windows.plan import Extras
    from harness.image.windows.prepare import Request
    from harness.image.windows.recipe import InstallMode

MIB = 1 << 20
REFERENCE = "reference"
group = typer.Typer(help="Build, import, list, verify and remove images of guests.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the image, e.g. reference or windows-11-24h2.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Accel = Annotated[str, typer.Option("--accel", help="auto, kvm or tcg.")]
DryRun = Annotated[
    Path | None, typer.Option("--dry-run", metavar="DIR", help="Write all inputs and QEMU's command lines, and stop.")
]
Clean = Annotated[bool, typer.Option("--clean", help="Throw away what an interrupted build left, and begin anew.")]
WinRm = Annotated[str | None, typer.Option("--winrm", help="ntlm (default), https or basic (unencrypted).")]
OpenSsh = Annotated[Path | None, typer.Option("--openssh", help="A Win32-OpenSSH archive (.zip), for SFTP.")]
Certificates = Annotated[
    list[Path] | None, typer.Option("--certificate", help="A certificate (DER) that the guest is to trust; repeatable.")
]
ProductKey = Annotated[
    Path | None, typer.Option("--product-key", help="A file (mode 0600) with your key, for retail and volume media.")
]
Activate = Annotated[
    bool, typer.Option("--activate", help="Activate Windows while it is built: it reaches the internet in that stage.")
]
Language = Annotated[str | None, typer.Option("--language", help="The language of the ISO, e.g. de-DE.")]
Sha256 = Annotated[str | None, typer.Option("--sha256", help="What the file's SHA-256 must be.")]


@group.command("list")
def list_images(as_json: AsJson = False) -> None:
    """Show the images that have been built, and those that can be."""
    from harness.image.windows.recipe import windows_images

    images = ImageStore().images()
    if as_json:
        typer.echo(json.dumps([_as_json(image) for image in images], indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("image", "key", "MiB", "directory"):
        table.add_column(heading, justify="right" if heading == "MiB" else "left", overflow="fold")
    for image in images:
        table.add_row(image.name, image.key[:12], str(used_bytes(image.directory) // MIB), str(image.directory))
    built = {image.name for image in images}
    for name in (REFERENCE, *windows_images()):
        if name not in built:
            table.add_row(name, "", "", "not built" if name == REFERENCE else "not built: it needs your ISO or disk")
    Console(highlight=False).print(table)


@group.command("build")
def build(
    name: Name = REFERENCE,
    iso: Annotated[Path | None, typer.Option("--iso", help="Your Windows ISO.")] = None,
    sha256: Sha256 = None,
    edition: Annotated[str | None, typer.Option("--edition", help="Index, id or name of the edition.")] = None,
    install_mode: Annotated[
        str, typer.Option("--install-mode", help="apply (default) or setup: Windows Setup with a classic answer file.")
    ] = "apply",
    product_key: ProductKey = None,
    activate: Activate = False,
    language: Language = None,
    winrm: WinRm = None,
    openssh: OpenSsh = None,
    certificate: Certificates = None,
    accel: Accel = "auto",
    dry_run: DryRun = None,
    clean: Clean = False,
    as_json: AsJson = False,
) -> None:
    """Build an image, unless it is there already. A Windows image is built from your ISO."""
    if name == REFERENCE:
        if iso is not None or dry_run is not None:
            raise ConfigurationError("the reference image is made of Debian's packages", hint="leave out --iso")
        _print(builder.build(progress=lambda text: typer.echo(f"{text} …", err=True)), as_json=as_json)
        return
    _require_windows(name)
    if iso is None:
        raise ConfigurationError(
            f"{name} is built from your own Windows ISO",
            hint=f"fltlab image build {name} --iso FILE; docs/windows.md says where evaluation ISOs are",
        )
    from harness.image.windows.prepare import Request

    request = Request(
        name,
        iso=iso,
        sha256=sha256,
        edition=edition,
        mode=_install_mode(install_mode),
        product_key=_read_key(product_key),
        activate=activate,
        extras=_extras(openssh, certificate),
        overrides=_overrides(winrm, openssh, language),
    )
    _build_windows(request, accel, dry_run, clean=clean, as_json=as_json)


@group.command("import")
def import_disk(
    name: Name,
    disk: Annotated[Path, typer.Option("--disk", help="A disk with Windows on it: VHDX, VHD, VMDK or qcow2.")],
    sha256: Sha256 = None,
    product_key: ProductKey = None,
    activate: Activate = False,
    language: Language = None,
    winrm: WinRm = None,
    openssh: OpenSsh = None,
    certificate: Certificates = None,
    accel: Accel = "auto",
    dry_run: DryRun = None,
    clean: Clean = False,
    as_json: AsJson = False,
) -> None:
    """Make an image of a disk that has Windows on it already, as an evaluation disk has. The disk is not changed."""
    _require_windows(name)
    from harness.image.windows.prepare import Request

    request = Request(
        name,
        disk=disk,
        sha256=sha256,
        product_key=_read_key(product_key),
        activate=activate,
        extras=_extras(openssh, certificate),
        overrides=_overrides(winrm, openssh, language),
    )
    _build_windows(request, accel, dry_run, clean=clean, as_json=as_json)


@group.command("verify")
def verify_images(
    name: Annotated[str | None, typer.Argument(help="An image to start a guest of; without: only the files.")] = None,
    accel: Accel = "auto",
    as_json: AsJson = False,
    raw: Annotated[bool, typer.Option("--raw", help="Show what the guest said for every check.")] = False,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="DIR", help="Keep what is said, in DIR and in one file to send.")
    ] = None,
    forks: Annotated[
        bool | None,
        typer.Option(
            "--forks/--no-forks",
            help="Fork a Windows image ten times: if all are good its guests are forks from now on. Or never again.",
        ),
    ] = None,
) -> None:
    """Compare the files of images with what they were when built; of a named image, start a guest and ask it."""
    if record is not None and name is None:
        raise ConfigurationError("--record is about the guest of one image: name it")
    if forks is not None and name is None:
        raise ConfigurationError("--forks and --no-forks are about one image: name it")
    for directory in _directories(name):
        image = verify(directory)
        typer.echo(f"{image.name}  {image.key[:12]}  files ok", err=as_json)
    if name is not None:
        from harness.cli.verify import report_self_test, switch_forks_off

        if forks is False:
            switch_forks_off(name, accel)
            return
        raise typer.Exit(report_self_test(name, accel, as_json=as_json, raw=raw, forks=bool(forks), record=record))


@group.command("remove")
def remove(name: Name) -> None:
    """Remove every image of a name."""
    for directory in _directories(name):
        ImageStore().remove(directory.parent.name, directory.name)
        typer.echo(f"removed {directory}")


# -- Windows


def _require_windows(name: str) -> None:
    from harness.image.windows.recipe import windows_images

    known = windows_images()
    if name not in known:
        raise ConfigurationError(
            f"there is no image called {name!r} that can be built{did_you_mean(name, [REFERENCE, *known])}",
            details=(f"images: {', '.join([REFERENCE, *known])}",),
        )


def _install_mode(text: str) -> "InstallMode":
    from harness.image.windows.recipe import InstallMode

    try:
        return InstallMode(text)
    except ValueError:
        raise ConfigurationError(
            f"--install-mode is {' or '.join(mode.value for mode in InstallMode)}, not {text!r}"
        ) from None


def _read_key(path: Path | None) -> str | None:
    """A product key comes in a file, so that it is in no list of processes."""
    if path is None:
        return None
    from harness.image.windows.product_key import read_product_key

    return read_product_key(path)


def _extras(openssh: Path | None, certificates: list[Path] | None) -> "Extras":
    from harness.image.windows.plan import Extras

    return Extras(tuple(certificates or ()), openssh)


def _overrides(winrm: str | None, openssh: Path | None, language: str | None) -> dict[str, object]:
    from harness.image.windows.recipe import WinRmMode

    if winrm is not None and winrm not in set(WinRmMode):
        raise ConfigurationError(f"--winrm is {', '.join(WinRmMode)}, not {winrm!r}")
    chosen = {"winrm": winrm} if winrm else {}
    provisioning = {**chosen, **({"openssh": "archive"} if openssh else {})}
    return {"provisioning": provisioning, **({"language": language} if language else {})}


def _build_windows(
    request: "Request",
    accel: str,
    dry_run: Path | None,
    *,
    clean: bool,
    as_json: bool,
) -> None:
    from harness.cli.windows_build import build_image
    from harness.host.accelerator import choose, parse_choice
    from harness.image.windows.dry_run import write_dry_run
    from harness.image.windows.prepare import prepare
    from harness.image.windows.profile import describe_host

    prepared = prepare(request)
    for text in prepared.plan.warnings:
        typer.echo(f"warning: {text}", err=True)
    secure = prepared.plan.recipe.machine.secure_boot
    host = describe_host(choose(parse_choice(accel)).accelerator, secure_boot=secure)
    if dry_run is not None:
        for path in write_dry_run(prepared, host, dry_run):
            typer.echo(path)
        return
    image = build_image(prepared, host, clean=clean)
    _print(image, as_json=as_json)
    from harness.cli.verify import report_self_test

    raise typer.Exit(report_self_test(image.name, accel, stderr=as_json))


def _print(image: Image, *, as_json: bool) -> None:
    typer.echo(json.dumps(_as_json(image), indent=2) if as_json else f"{image.name}  {image.directory}")


def _directories(name: str | None) -> list[Path]:
    directories = ImageStore().directories()
    names = {directory.parent.name for directory in directories}
    if name is not None and name not in names:
        raise ConfigurationError(
            f"there is no image {name!r} in the store{did_you_mean(name, names)}", hint="fltlab image list"
        )
    return [directory for directory in directories if name in {None, directory.parent.name}]


def _as_json(image: Image) -> dict[str, object]:
    return {
        "name": image.name,
        "key": image.key,
        "directory": str(image.directory),
        "files": dict(image.digests),
        "facts": dict(image.facts),
    }


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="image")
