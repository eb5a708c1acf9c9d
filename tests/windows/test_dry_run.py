"""What a build of each release would use, held against golden copies: answer files, scripts and QEMU's command lines.

After a change that is meant: FLTLAB_WRITE_GOLDEN=1 ./fltlab test tests/windows/test_dry_run.py
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import ConfigurationError, ExitCode
from harness.host.accelerator import Accelerator
from harness.image.windows.dry_run import FIRST, PLAN, SECOND, command_lines, describe, write_dry_run
from harness.image.windows.edition import choose_edition
from harness.image.windows.media import Media
from harness.image.windows.plan import Plan, Source, build_inputs
from harness.image.windows.prepare import PLACEHOLDER, Prepared
from harness.image.windows.profile import Host
from harness.image.windows.recipe import COMMON, InstallMode, load_recipe, windows_images
from harness.image.windows.wim import Architecture, Edition
from harness.machine.enlightenments import Enlightenments
from harness.machine.firmware import Firmware

GOLDEN = Path(__file__).with_name("golden")
WRITE = bool(os.environ.get("FLTLAB_WRITE_GOLDEN"))
FIRMWARE = Firmware(Path("/firmware/code.fd"), Path("/firmware/variables.fd"), secure_boot=False)
KVM = Host(Accelerator.TCG, FIRMWARE, Enlightenments(("hv-relaxed", "hv-time", "hv-crash")))
SHOWN = "windows-11-24h2"
"""The release whose rendered files are kept whole; of all others the digests are, in its plan."""


def prepared(name: str, mode: InstallMode = InstallMode.APPLY) -> Prepared:
    """A plan for an ISO of a release, as its media say it."""
    recipe = load_recipe(name)
    edition = Edition(
        3, recipe.description, recipe.editions[0], recipe.installation, Architecture.X64, recipe.release.builds[0],
        1, (recipe.language,), recipe.language, 0,
    )  # fmt: skip
    media = Media(
        Path(f"/isos/{name}.iso"), 1 << 32, "LABEL", "/sources/install.wim", (edition,), 300, frozenset({"x64"})
    )
    key = None if edition.is_evaluation or mode is InstallMode.APPLY else "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"
    plan = Plan(recipe, Source.ISO, choose_edition(media, recipe, None), mode, key)
    return Prepared(plan, media, None, "0" * 64)


def held(text: str, name: str) -> None:
    """Compare a text with its golden copy."""
    path = GOLDEN / name
    if WRITE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    assert text == path.read_bytes().decode()


@pytest.mark.parametrize("name", windows_images())
def test_each_release_is_built_from_what_its_golden_copies_say(name: str):
    plan = describe(prepared(name))
    lines = command_lines(prepared(name), KVM)

    held(json.dumps(plan, indent=2, sort_keys=True) + "\n", f"{name}.json")
    held("\n".join([*lines[FIRST], "", *lines[SECOND]]) + "\n", f"{name}.qemu")


@pytest.mark.parametrize("mode", InstallMode)
def test_every_file_that_is_rendered_for_a_release_is_as_its_golden_copy(mode: InstallMode):
    for name, content in build_inputs(prepared(SHOWN, mode).plan, PLACEHOLDER).items():
        if not (
            COMMON / name.removeprefix("fltlab/").replace("diskpart", "winpe/diskpart")
        ).exists():  # else it is handed on as it is
            held(content.decode(), f"{SHOWN}-{mode.value}/{name}")


def test_seven_releases_are_known():
    assert len(windows_images()) == 7


def test_a_dry_run_writes_everything_and_no_password(tmp_path: Path):
    written = write_dry_run(prepared(SHOWN), KVM, tmp_path / "out")

    names = {str(path.relative_to(tmp_path / "out")) for path in written}
    assert {FIRST, SECOND, PLAN, "inputs/Autounattend.xml", "inputs/fltlab/guest/provision.ps1"} <= names
    text = b"".join(path.read_bytes() for path in written)
    assert PLACEHOLDER.encode() in text


def test_a_dry_run_overwrites_nothing(tmp_path: Path):
    (tmp_path / "mine").write_text("kept")

    with pytest.raises(ConfigurationError, match="not empty"):
        write_dry_run(prepared(SHOWN), KVM, tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_import_has_one_stage_and_the_answer_file_of_an_installed_windows():
    plan = Plan(load_recipe(SHOWN), Source.DISK, None)
    lines = command_lines(replace(prepared(SHOWN), plan=plan, media=None), KVM)

    assert set(lines) == {SECOND}
    assert any("provisioning.iso" in word for word in lines[SECOND])
    assert "Unattend.xml" in build_inputs(plan, PLACEHOLDER)


# -- the command


def test_the_dry_run_of_an_iso_is_one_command(client_iso: Path, tmp_path: Path):
    words = ["build", SHOWN, "--iso", str(client_iso), "--accel", "tcg", "--dry-run", str(tmp_path / "out")]

    assert main(["image", *words]) == ExitCode.PASSED

    assert json.loads((tmp_path / "out" / PLAN).read_text())["edition"]["edition_id"] == "Professional"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("build", "windows-11-24h3"), "did you mean 'windows-11-24h2'?"),
        (("build", SHOWN), "is built from your own Windows ISO"),
        (("build", SHOWN, "--iso", "/no/such.iso"), "/no/such.iso"),
        (("build", SHOWN, "--iso", "ISO", "--install-mode", "fast"), "apply or setup"),
        (("build", SHOWN, "--iso", "ISO", "--winrm", "telnet"), "ntlm, https, basic"),
        (("build", SHOWN, "--iso", "ISO", "--edition", "Ultimate"), "Professional"),
        (("build", SHOWN, "--iso", "ISO", "--sha256", "0" * 64), "SHA-256"),
        (("build", SHOWN, "--iso", "ISO", "--product-key", "/no/key"), "the product key in /no/key"),
        (("import", SHOWN, "--disk", "/no/disk.vhdx"), "there is no disk"),
        (("verify", "windows-11-24h2"), "there is no image"),
    ],
)
def test_wrong_use_is_one_message(
    client_iso: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["image", *(str(client_iso) if word == "ISO" else word for word in words)]) == ExitCode.USAGE

    assert message in capsys.readouterr().err
