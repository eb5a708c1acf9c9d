"""Building drivers: what changed and nothing else, the same bytes each time, and clear words when it cannot be done."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ConfigurationError, HostError
from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers, file_sha256
from harness.minifilter.check import check_image
from harness.minifilter.package import PackageKind
from harness.minifilter.toolchain import find_toolchain, run

OURS = {"passthrough", "completion", "pending", "synchronize", "fastio", "observer"}
UserDriver = Callable[..., Path]


def test_every_test_minifilter_is_built_with_its_symbols_and_certificate(built: dict[str, BuiltDriver]):
    assert set(built) >= OURS
    for driver in built.values():
        assert driver.sys.is_file()
        assert driver.pdb is not None
        assert driver.pdb.is_file()
        assert driver.certificate is not None
        assert driver.certificate.read_bytes()[:1] == b"\x30"  # DER
        assert driver.sha256 == file_sha256(driver.sys)


def test_what_is_unchanged_is_left_as_it_is(user_driver: UserDriver, tmp_path: Path):
    tree, out = user_driver(), tmp_path / "out"
    first = build_drivers(tree, out)["mine"]
    before = first.sys.stat().st_mtime_ns, first.sys.stat().st_ino

    second = build_drivers(tree, out)["mine"]

    assert second == first
    assert (second.sys.stat().st_mtime_ns, second.sys.stat().st_ino) == before


def test_a_changed_source_is_built_again(user_driver: UserDriver, tmp_path: Path):
    tree, out = user_driver(), tmp_path / "out"
    first = build_drivers(tree, out)["mine"]
    source = tree / "mine" / "mine.c"
    source.write_text(source.read_text() + '\nconst char Marker[] = "changed";\n')
    source.write_text(source.read_text().replace("UNREFERENCED_PARAMETER(RegistryPath);", "DbgPrint(Marker);"))
    source.write_text("extern const char Marker[];\n" + source.read_text())

    second = build_drivers(tree, out)["mine"]

    assert second.sha256 != first.sha256
    assert b"changed" in second.sys.read_bytes()


def test_a_header_of_the_drivers_own_is_an_input(user_driver: UserDriver, tmp_path: Path):
    tree, out = user_driver(), tmp_path / "out"
    source = tree / "mine" / "mine.c"
    source.write_text(source.read_text().replace("#include <fltKernel.h>", '#include <fltKernel.h>\n#include "mine.h"'))
    (tree / "mine" / "mine.h").write_text('static const char Marker[] __attribute__((used)) = "one";\n')
    build_drivers(tree, out)
    (tree / "mine" / "mine.h").write_text('static const char Marker[] __attribute__((used)) = "two";\n')

    assert b"two\0" in build_drivers(tree, out)["mine"].sys.read_bytes()


def test_damaged_output_is_built_again(user_driver: UserDriver, tmp_path: Path):
    tree, out = user_driver(), tmp_path / "out"
    first = build_drivers(tree, out)["mine"]
    first.sys.write_bytes(first.sys.read_bytes()[:-1] + b"\xff")

    second = build_drivers(tree, out)["mine"]

    assert file_sha256(second.sys) == second.sha256


def test_two_builds_give_the_same_bytes_wherever_they_are_made(tmp_path: Path):
    results = []
    for place in ("here", "elsewhere/deeper"):
        driver = build_drivers(SUPPORT, tmp_path / place, ["fastio"])["fastio"]
        assert driver.pdb is not None
        results.append((driver.sys.read_bytes(), driver.pdb.read_bytes()))

    assert results[0] == results[1]
    assert str(tmp_path).encode() not in b"".join(results[0])


def test_two_processes_may_build_at_once(user_driver: UserDriver, tmp_path: Path):
    tree = user_driver()
    command = [sys.executable, "-m", "harness.minifilter.build", "--root", str(tree), "--out", str(tmp_path / "out")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=SUPPORT.parent) for _ in range(2)]

    printed = [process.communicate()[0] for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert printed[0] == printed[1] != ""


def test_a_source_that_does_not_compile_shows_what_the_compiler_says(user_driver: UserDriver, tmp_path: Path):
    tree = user_driver("broken", source="#include <fltKernel.h>\nint DriverEntry(void) { return undeclared; }\n")

    with pytest.raises(ConfigurationError) as failed:
        build_drivers(tree, tmp_path / "out")

    assert "broken.c does not compile" in str(failed.value)
    assert "broken.c:2:" in str(failed.value)
    assert "undeclared" in str(failed.value)
    assert not (tmp_path / "out" / "broken").exists()


def test_a_function_that_nobody_exports_is_named(user_driver: UserDriver, tmp_path: Path):
    source = "#include <fltKernel.h>\nNTSTATUS FltInvented(void);\n"
    source += "NTSTATUS DriverEntry(PDRIVER_OBJECT o, PUNICODE_STRING p) { (void)o; (void)p; return FltInvented(); }\n"

    with pytest.raises(ConfigurationError, match="FltInvented"):
        build_drivers(user_driver(source=source), tmp_path / "out")


def test_an_unknown_driver_is_refused_with_the_names_there_are(user_driver: UserDriver, tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"no driver called yours(.|\n)*there are: mine"):
        build_drivers(user_driver(), tmp_path / "out", ["yours"])


def test_a_failed_build_keeps_what_was_built_before(user_driver: UserDriver, tmp_path: Path):
    tree, out = user_driver(), tmp_path / "out"
    before = build_drivers(tree, out)["mine"]
    (tree / "mine" / "mine.c").write_text("this is not C\n")

    with pytest.raises(ConfigurationError, match="does not compile"):
        build_drivers(tree, out)

    assert file_sha256(before.sys) == before.sha256


def test_a_prebuilt_driver_is_taken_as_it_is(user_driver: UserDriver, built: dict[str, BuiltDriver], tmp_path: Path):
    tree = user_driver("bought", manifest="name: bought\ndescription: prebuilt\nbinary: bought.bin\ncontrol: none\n")
    (tree / "bought" / "bought.bin").write_bytes(built["observer"].sys.read_bytes())

    driver = build_drivers(tree, tmp_path / "out")["bought"]

    assert driver.sha256 == built["observer"].sha256
    assert driver.sys.name == "bought.sys"
    assert driver.certificate is None


def test_a_prebuilt_file_that_is_no_driver_is_refused(user_driver: UserDriver, tmp_path: Path):
    tree = user_driver("bought", manifest="name: bought\ndescription: prebuilt\nbinary: bought.bin\n")
    (tree / "bought" / "bought.bin").write_bytes(b"\x7fELF" + bytes(100))

    with pytest.raises(ConfigurationError, match="not a Windows image"):
        build_drivers(tree, tmp_path / "out")


def test_a_place_that_cannot_be_written_is_said_to_be_one(user_driver: UserDriver, tmp_path: Path):
    (tmp_path / "out").write_text("a file where a directory should be")

    with pytest.raises(HostError, match="drivers cannot be built in"):
        build_drivers(user_driver(), tmp_path / "out")


def test_object_files_that_no_build_has_used_for_long_are_removed(user_driver: UserDriver, tmp_path: Path):
    tree, out = user_driver(), tmp_path / "out"
    build_drivers(tree, out)
    (old,) = (path.parent for path in (out / ".objects").glob("*/mine.obj"))
    os.utime(old, (0, 0))
    source = tree / "mine" / "mine.c"
    source.write_text(source.read_text() + "/* changed */\n")

    build_drivers(tree, out)

    (new,) = (path.parent for path in (out / ".objects").glob("*/mine.obj"))
    assert new != old


@pytest.mark.parametrize(
    ("missing", "package"), [("clang", "clang-19"), ("lld-link", "lld-"), ("osslsigncode", "osslsigncode")]
)
def test_a_missing_program_is_named_with_its_package(
    missing: str, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    for directory in os.environ["PATH"].split(os.pathsep):
        for program in Path(directory).glob("*") if Path(directory).is_dir() else ():
            link = tmp_path / program.name
            if not program.name.startswith(missing) and not link.is_symlink():
                link.symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    find_toolchain.cache_clear()
    try:
        with pytest.raises(HostError) as failed:
            find_toolchain()
    finally:
        find_toolchain.cache_clear()

    assert missing in failed.value.message
    assert f"apt install {package}" in str(failed.value.hint)


def test_an_old_clang_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    old = tmp_path / "clang-19"
    old.write_text("#!/bin/sh\necho 'Debian clang version 14.0.6'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    find_toolchain.cache_clear()
    try:
        with pytest.raises(HostError, match="too old"):
            find_toolchain()
    finally:
        find_toolchain.cache_clear()


def test_the_example_of_a_drivers_own_tree_builds_without_findings(tmp_path: Path):
    built = build_drivers(SUPPORT.parent / "docs" / "examples", tmp_path, ["guard", "scanner", "policy", "pathguard"])

    drivers = {name: one for name, one in built.items() if one.package.kind is PackageKind.DRIVER}
    assert len(drivers) == 4
    assert [finding for one in drivers.values() for finding in check_image(one.sys, ours=False)] == []


def test_a_program_that_is_killed_says_nothing_of_the_source(tmp_path: Path):
    program = tmp_path / "clang"
    program.write_text("#!/bin/sh\n[ -e once ] && echo done && exit 0\n: > once\nkill -9 $$\n")
    program.chmod(0o755)

    assert run((program,), "text.c does not compile", cwd=tmp_path) == "done\n"


def test_one_that_is_killed_again_is_named_with_the_signal(tmp_path: Path):
    program = tmp_path / "clang"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)

    with pytest.raises(HostError, match=r"clang was killed by SIGKILL, as the kernel does .*, twice"):
        run((program,), "text.c does not compile")
