"""Wrong use and a wrong machine: one message that says what to do, and the exit code of whose fault it is."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pefile
import pytest

from harness.cli.main import main
from harness.errors import ExitCode
from harness.minifilter.build import SUPPORT, build_drivers
from harness.report.journal import read_journal

Fltlab = Callable[..., pytest.RunResult]

SUITE = """
    import pytest

    pytestmark = pytest.mark.stack("{driver}")

    def test_one(lab):
        lab.io("query-path V:\\\\nothing")

    def test_two(lab):
        lab.io("query-path V:\\\\nothing")
"""


@pytest.fixture
def fltlab(pytester: pytest.Pytester) -> Fltlab:
    """`fltlab run` in a directory with one suite of two tests, which load the driver `driver`."""

    def run(*arguments: object, driver: str = "passthrough", guest: str = "reference-local") -> pytest.RunResult:
        pytester.makepyfile(test_suite=SUITE.format(driver=driver))
        command = [sys.executable, "-P", "-m", "harness.cli", "run", "test_suite.py", "-p", "no:cacheprovider"]
        return pytester.run(*command, f"--guest={guest}", "--out=run", *map(str, arguments))

    return run


def said(result: pytest.RunResult) -> str:
    return " ".join((result.stdout.str() + result.stderr.str()).split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--guest", "referense-local"], "there is no guest called 'referense-local'; did you mean 'reference-local'?"),
        (["--mutant", "no-such-break"], "there is no mutant called 'no-such-break'"),
        (["--mutant", "pre-not-caled"], "did you mean 'pre-not-called'?"),
        (["--replace", "passthrough=obsever"], "there is no driver called 'obsever'; did you mean 'observer'?"),
        (["--replace", "passthrough"], "--replace takes NAME=DRIVER, not 'passthrough'"),
        (["--drivers", "nowhere"], "there is no directory {here}/nowhere to find drivers in"),
        (["--accel", "warp"], "unknown accelerator 'warp' try: --accel is one of auto, kvm, tcg"),
        (["--out", "test_suite.py"], "{here}/test_suite.py cannot be the directory of a run"),
        (["--out", "/proc/run"], "/proc/run cannot be the directory of a run"),
        (["--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["--seed", "often"], "unable to parse"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_word_that_means_nothing_is_named_before_any_guest_starts(
    pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
):
    pytester.makepyfile(test_suite=SUITE.format(driver="passthrough"))

    code = main(["run", "test_suite.py", "-p", "no:cacheprovider", "--guest=reference-local", "--out=run", *arguments])

    shown = capsys.readouterr()
    assert code == ExitCode.USAGE
    assert " ".join((shown.out + shown.err).split()).count(message.format(here=pytester.path)) == 1
    assert not (pytester.path / "run").exists()


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_driver_that_nobody_has_stops_the_collection(fltlab: Fltlab, workers: tuple[str, ...]):
    result = fltlab(*workers, driver="passtrough")

    assert result.ret == ExitCode.USAGE
    assert "there is no driver called 'passtrough'; did you mean 'passthrough'?" in said(result)


def test_a_driver_that_lies_near_is_pointed_at(fltlab: Fltlab, pytester: pytest.Pytester):
    directory = pytester.mkdir("driver")
    (directory / "driver.yaml").write_text("name: mine\ndescription: of a user\nsources: [mine.c]\n")
    result = fltlab(driver="mine")

    assert result.ret == ExitCode.USAGE
    assert "there is no driver called 'mine' looked below" in said(result)
    assert f"try: --drivers {directory}: one is there" in said(result)


def make_x86(image: pefile.PE) -> None:
    image.FILE_HEADER.Machine = 0x014C


def make_program(image: pefile.PE) -> None:
    image.OPTIONAL_HEADER.Subsystem = 3


def import_the_unknown(image: pefile.PE) -> None:
    entry = image.DIRECTORY_ENTRY_IMPORT[0].imports[0]
    image.set_bytes_at_rva(image.get_rva_from_offset(entry.name_offset), b"Xlt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (make_x86, "mine.sys cannot be used: it is for x86; the guests run x64"),
        (make_program, "mine.sys cannot be used: its subsystem is Windows console; a driver has native"),
        (import_the_unknown, "which does not export it"),
    ],
)
def test_a_driver_that_no_x64_windows_would_load_is_an_error_of_the_tests_that_need_it(
    fltlab: Fltlab, pytester: pytest.Pytester, change: Callable[[pefile.PE], None], message: str
):
    result = fltlab("--drivers", changed_driver(pytester.path / "drivers", change), driver="mine")

    assert result.ret == ExitCode.USAGE
    assert said(result).count(message) == 1, "told once"
    assert [(record.name, record.outcome.value) for record in read_journal(pytester.path / "run")] == BOTH_IN_ERROR


def changed_driver(directory: Path, change: Callable[[pefile.PE], None]) -> Path:
    """A package `mine` of passthrough's image, with something in it changed."""
    directory.mkdir()
    with pefile.PE(
        build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["passthrough"])["passthrough"].sys
    ) as image:
        change(image)
        image.OPTIONAL_HEADER.CheckSum = image.generate_checksum()
        image.write(str(directory / "mine.sys"))
    (directory / "driver.yaml").write_text("name: mine\ndescription: not for Windows\nbinary: mine.sys\n")
    return directory


BOTH_IN_ERROR = [("test_one", "error"), ("test_two", "error")]


def only_the_first_test_met_it(run: Path) -> bool:
    """Whether the run ended with its first test: journal and reports are there, and say so."""
    summary = json.loads((run / "run.json").read_text())["summary"]
    return [record.name for record in read_journal(run)] == ["test_one"] and summary["errors"] == 1


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_driver_that_does_not_compile_is_an_error_of_the_tests_that_need_it_in_the_compilers_words(
    fltlab: Fltlab, pytester: pytest.Pytester, workers: tuple[str, ...]
):
    (pytester.path / "mine.c").write_text("#include <fltkernel.h>\nint DriverEntry(void) { return nothing; }\n")
    (pytester.path / "driver.yaml").write_text("name: mine\ndescription: of my own\nsources: [mine.c]\n")

    pytester.makepyfile(test_other=SUITE.format(driver="passthrough"))

    result = fltlab("--drivers", ".", "test_other.py", *workers, driver="mine")

    assert result.ret == ExitCode.USAGE
    assert said(result).count("use of undeclared identifier 'nothing'") == 1, "told once"
    outcomes = sorted((record.name, record.outcome.value) for record in read_journal(pytester.path / "run"))
    assert outcomes == sorted([*BOTH_IN_ERROR, ("test_one", "passed"), ("test_two", "passed")])


@pytest.mark.parametrize(("guest", "tool"), [("reference-local", "clang"), ("reference", "is not installed")])
def test_a_missing_tool_is_named_with_its_package(
    fltlab: Fltlab, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, guest: str, tool: str
):
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setenv("FLTLAB_HOME", str(pytester.path / "home"))

    result = fltlab(guest=guest)

    assert result.ret == ExitCode.HOST
    assert tool in said(result)
    assert "apt" in said(result)
    assert only_the_first_test_met_it(pytester.path / "run")


DIES_IN_BOOT = """
    import json
    import pytest
    from harness.guest import local

    @pytest.fixture(scope="session", autouse=True)
    def configuration_that_the_daemon_refuses():
        with pytest.MonkeyPatch.context() as patch:
            write = local.write_private
            patch.setattr(local, "write_private", lambda path, _: write(path, b'{"version": 99}'))
            yield
"""
WRONG_PASSWORD = """
    import pytest
    from harness.guest import local

    @pytest.fixture(scope="session", autouse=True)
    def wrong_password():
        with pytest.MonkeyPatch.context() as patch:
            endpoint = local.Endpoint
            patch.setattr(local, "Endpoint", lambda **facts: endpoint(**{**facts, "password": "wrong"}))
            yield
"""


def test_a_guest_that_dies_in_boot_twice_ends_the_run(fltlab: Fltlab, pytester: pytest.Pytester):
    pytester.makeconftest(DIES_IN_BOOT)

    result = fltlab()

    assert result.ret == ExitCode.HOST
    assert "the guest daemon could not be started" in said(result)
    assert "no test can run" in said(result)
    assert [record.outcome.value for record in read_journal(pytester.path / "run")] == ["error"] * 2


def test_a_wrong_password_is_said_to_be_one(fltlab: Fltlab, pytester: pytest.Pytester):
    pytester.makeconftest(WRONG_PASSWORD)

    result = fltlab()

    assert result.ret == ExitCode.HOST
    assert "password" in said(result)
    assert {record.outcome.value for record in read_journal(pytester.path / "run")} == {"error"}


def test_without_the_io_program_a_run_ends_as_an_error(fltlab: Fltlab, pytester: pytest.Pytester):
    pytester.makeconftest(
        """
        import pytest
        from harness.fleet import stack

        @pytest.fixture(autouse=True)
        def fltprobe_is_put_elsewhere(monkeypatch):
            monkeypatch.setattr(stack, "PROGRAM", r"C:\\\\fltlab\\\\other.exe")
        """
    )

    result = fltlab()

    assert result.ret == ExitCode.HOST
    assert "fltprobe" in said(result)
