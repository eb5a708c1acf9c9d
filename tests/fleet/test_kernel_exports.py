"""What a driver needs of the reference kernel is told before anything runs, and is what becomes of it when it runs."""

import json
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import ConfigurationError
from harness.fleet.drivers import Drivers
from harness.fleet.kernel_exports import kernel_exports, needs, warnings
from harness.minifilter.image_imports import Import
from harness.reference.machine.loader.exports import FLTMGR, NTOSKRNL, all_exports, find_export
from harness.reference.windows.export_rooms import load_exports

PLAIN = b"FltDoCompletionProcessingWhenSafe\0"


@pytest.fixture(scope="module")
def passthrough() -> Path:
    return Drivers(()).build(["passthrough"])["passthrough"].sys


def with_import(image: Path, name: str, to: Path) -> Path:
    """The image with one import of the same length or shorter in the place of another."""
    code = image.read_bytes()
    assert code.count(PLAIN) == 1
    assert len(name) < len(PLAIN)
    to.write_bytes(code.replace(PLAIN, name.encode().ljust(len(PLAIN), b"\0")))
    return to


def a_missing_one() -> str:
    lacks = sorted(kernel_exports()[FLTMGR].lacks)
    return next(name for name in lacks if len(name) < len(PLAIN))


def test_what_the_kernel_says_it_has_is_what_it_has() -> None:
    load_exports()
    exports = kernel_exports()

    implemented = {module: {one.name for one in all_exports() if one.module == module} for module in exports}
    assert all(names <= exports[module].has for module, names in implemented.items())
    assert {"memcpy", "NtBuildNumber"} <= exports[NTOSKRNL].has  # code without Python, and data
    assert find_export(FLTMGR, a_missing_one()) is None
    assert all(not module.has & module.lacks for module in exports.values())


def test_a_driver_of_ours_lacks_nothing(passthrough: Path) -> None:
    found = needs(passthrough)

    assert found.starts
    assert (found.stops, found.refused) == ((), ())
    assert Import(FLTMGR, "FltRegisterFilter") in found.has
    assert warnings(passthrough) == []


def test_an_export_that_only_windows_has_is_told_and_the_driver_starts(passthrough: Path, tmp_path: Path) -> None:
    missing = a_missing_one()
    found = needs(with_import(passthrough, missing, tmp_path / "needy.sys"))

    assert found.starts
    assert found.stops == (Import(FLTMGR, missing),)
    assert [one.code for one in warnings(found.image)] == ["reference-lacks"]
    assert missing in warnings(found.image)[0].message


def test_an_export_that_nobody_has_keeps_the_driver_from_starting(
    passthrough: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = with_import(passthrough, "FltNoSuchRoutine", tmp_path / "broken.sys")

    assert not needs(image).starts
    assert main(["kernel", "imports", str(image), "--json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert told["refused"] == {FLTMGR: ["FltNoSuchRoutine"]}
    assert main(["kernel", "imports", str(image)]) == 1
    assert "it cannot be loaded" in capsys.readouterr().out


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "no.sys"
    file.write_text("MZ and nothing else")

    with pytest.raises(ConfigurationError, match="not a Windows image"):
        needs(file)
