"""Everything that is decided before a Windows image is built, and the files that follow from it.

A plan is made from the user's media and options without starting anything; `--dry-run` writes it out.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from harness.errors import ConfigurationError
from harness.image.windows.answer_check import check_answer_file
from harness.image.windows.recipe import ACCOUNT, InstallMode, OpenSsh, Recipe
from harness.image.windows.script_check import check_script
from harness.image.windows.templates import as_guest_text, guest_scripts, render, static
from harness.image.windows.wim import Edition

DRIVE_LETTERS = "CDEFGHIJ"
"""The letters that the provisioning CD may have in Windows PE, and later."""

NO_KEY = "ssh-ed25519 made-for-each-build"
"""What stands for the key while nothing is built yet."""

SETUP = r"C:\fltlab\setup"
FIRST_LOGON = f"powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File {SETUP}\\provision.ps1"
_CHECKS_OF_SETUP = ("BypassTPMCheck", "BypassSecureBootCheck", "BypassRAMCheck", "BypassCPUCheck", "BypassStorageCheck")


class Source(StrEnum):
    """What an image is made from."""

    ISO = "iso"
    DISK = "disk"


@dataclass(frozen=True)
class Extras:
    """Files of the user that go into the image: certificates to trust, an archive with Win32-OpenSSH."""

    certificates: tuple[Path, ...] = ()
    openssh: Path | None = None


@dataclass(frozen=True)
class Plan:
    """How an image is built. `edition` is None when it is made from a disk that has Windows on it already."""

    recipe: Recipe
    source: Source
    edition: Edition | None
    mode: InstallMode = InstallMode.APPLY
    product_key: str | None = field(default=None, repr=False)
    extras: Extras = Extras()
    activate: bool = False
    """Whether Windows is activated while it is built, the one time that its guest reaches the network."""

    def __post_init__(self) -> None:
        ssh = self.recipe.provisioning.openssh
        if (ssh is OpenSsh.ARCHIVE) != (self.extras.openssh is not None):
            raise ConfigurationError(
                f"openssh is {ssh} for {self.recipe.name}, and "
                + ("no archive was given" if self.extras.openssh is None else "an archive was given"),
                hint="--openssh FILE takes a Win32-OpenSSH archive (.zip), and is all that is needed",
            )
        keyed = self.product_key is not None
        evaluation = self.edition is not None and self.edition.is_evaluation
        if self.mode is InstallMode.SETUP and self.edition is not None and not evaluation and not keyed:
            raise ConfigurationError(
                f"Windows Setup asks for a product key before it installs {self.edition.edition_id}",
                hint="give --product-key, or leave out --install-mode setup: the default mode needs none",
            )
        if evaluation and keyed:
            raise ConfigurationError("evaluation media take no product key", hint="leave out --product-key")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know before the build."""
        if self.edition is None or not self.edition.is_evaluation or self.activate:
            return ()
        edition = self.edition.edition_id
        told = (
            f"{edition} is an evaluation, and guests never reach the internet: where it wants to be activated it runs "
            "for ten days, or switches itself off an hour after each start (--activate does it now)"
        )
        return (told,)


def build_inputs(plan: Plan, password: str, authorized_key: str = NO_KEY) -> dict[str, bytes]:
    """Return the files of the provisioning CD by their paths on it; the key is for the guest's SSH server.

    Every answer file and script is checked on its way (answer_check.py, script_check.py): a malformed one is silently
    ignored by Windows Setup, which then waits for somebody at the screen.
    """
    values = _values(plan, password)
    files: dict[str, bytes] = {}
    if plan.source is Source.DISK:
        files["Unattend.xml"] = render("answers/unattend.xml.j2", values)
    elif plan.mode is InstallMode.SETUP:
        files["Autounattend.xml"] = render("answers/Autounattend-setup.xml.j2", values)
    else:
        files["Autounattend.xml"] = render("answers/Autounattend-apply.xml.j2", values)
        files["fltlab/unattend.xml"] = render("answers/unattend.xml.j2", values)
        files["fltlab/install.cmd"] = render("winpe/install.cmd.j2", values)
        files["fltlab/diskpart.txt"] = as_guest_text(static("winpe/diskpart.txt"), "diskpart.txt")
    for name, text in guest_scripts().items():
        files[f"fltlab/guest/{name}"] = as_guest_text(text, name)
    files["fltlab/guest/settings.json"] = _settings(plan)
    for name, content in files.items():
        if name.lower().endswith("unattend.xml"):
            check_answer_file(content, name)
        elif name.endswith((".cmd", ".ps1")):
            check_script(content, name)
    if plan.recipe.provisioning.openssh is not OpenSsh.NONE:
        files["fltlab/guest/ssh_key.pub"] = as_guest_text(f"{authorized_key}\n", "ssh_key.pub")
    files.update(_extras(plan.extras))
    return files


def _values(plan: Plan, password: str) -> dict[str, object]:
    recipe = plan.recipe
    return {
        "language": recipe.language,
        "computer_name": recipe.provisioning.computer_name,
        "time_zone": recipe.provisioning.time_zone,
        "account": ACCOUNT,
        "password": password,
        "product_key": plan.product_key,
        "index": plan.edition.index if plan.edition else 0,
        "test_signing": recipe.provisioning.test_signing,
        "windows_pe_commands": _windows_pe_commands(plan),
        "specialize_commands": _specialize_commands(plan),
        "first_logon_command": FIRST_LOGON,
    }


def _windows_pe_commands(plan: Plan) -> Sequence[str]:
    if plan.mode is InstallMode.SETUP:
        key = r"HKLM\SYSTEM\Setup\LabConfig"
        checks = _CHECKS_OF_SETUP if plan.recipe.release.product == "client" else ()
        return (
            r"cmd.exe /c >\\.\COM1 echo FLTLAB-PE-START",
            *(f"reg.exe add {key} /v {check} /t REG_DWORD /d 1 /f" for check in checks),
        )
    return _on_every_drive(r"{0}:\fltlab\install.cmd", "{0}:")


def _specialize_commands(plan: Plan) -> Sequence[str]:
    if plan.source is Source.ISO and plan.mode is InstallMode.APPLY:
        return (rf"cmd.exe /c {SETUP}\specialize.cmd",)
    return _on_every_drive(r"{0}:\fltlab\guest\specialize.cmd", "{0}:")


def _on_every_drive(program: str, argument: str) -> Sequence[str]:
    """Return commands that call a batch file from whatever drive has it: one for each letter, no loop with %."""
    return tuple(
        f"cmd.exe /c if exist {path} call {path} {argument.format(letter)}"
        for letter in DRIVE_LETTERS
        for path in (program.format(letter),)
    )


def _settings(plan: Plan) -> bytes:
    """Return what provision.ps1 is told."""
    provisioning = plan.recipe.provisioning
    values = {
        "account": ACCOUNT,
        "memory_mib": plan.recipe.machine.memory_mib,
        "winrm": provisioning.winrm,
        "openssh": provisioning.openssh,
        "test_signing": provisioning.test_signing,
        "kernel_debugger": provisioning.kernel_debugger,
    }
    return as_guest_text(json.dumps(values, indent=1) + "\n", "settings.json")


def _extras(extras: Extras) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    try:
        for number, certificate in enumerate(extras.certificates, 1):
            files[f"fltlab/guest/certificates/{number:02}.cer"] = certificate.read_bytes()
        if extras.openssh is not None:
            files["fltlab/guest/openssh.zip"] = extras.openssh.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"a file for the image cannot be read: {error}") from error
    return files
