"""A dump says which bug check it was, what its parameters mean, and which driver it points at."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import ExitCode
from harness.guest.dump import DumpError, Symbols, read_crash
from harness.guest.dump.bugchecks import FILE, explain
from harness.guest.dump.layout import read_header
from harness.guest.dump.memory import PAGE, PagedMemory, kdmp_memory, pages_of
from harness.guest.dump.modules import modules_in_memory
from harness.guest.dump.symbols import build_of
from harness.minifilter.build import SUPPORT, build_drivers
from harness.nt.bugcheck import BugCheck
from tests.crash.dumps import FLTMGR, LIST_HEAD, NT, STACK, SyntheticDump

OURS = ("fltlab-above.sys", 0xFFFF_F803_0000_0000, 0x2_0000, 0x3333_3333)
NO_SYMBOLS = Symbols([])
WRITERS: dict[str, Callable[[SyntheticDump, Path], Path]] = {
    "full": SyntheticDump.full,
    "bitmap": SyntheticDump.bitmap,
    "mini": SyntheticDump.mini,
    "mini of an older release": lambda dump, path: dump.mini(path, entry_size=0xA8),
}
every_type = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@every_type
def test_the_module_at_the_address_in_a_parameter_is_the_guess(write, tmp_path: Path):
    dump = SyntheticDump(0xD1, (0x10, 2, 1, OURS[1] + 0x1234), [NT, FLTMGR, OURS])

    found = read_crash(write(dump, tmp_path / "dump"), NO_SYMBOLS)

    assert found.bugcheck.name == "DRIVER_IRQL_NOT_LESS_OR_EQUAL"
    assert str(found.instruction) == "fltlab-above.sys+0x1234"
    assert (found.suspect, found.because) == ("fltlab-above.sys", "a parameter names an address in it")
    assert [module.name for module in found.modules] == ["ntoskrnl.exe", "FLTMGR.SYS", "fltlab-above.sys"]
    assert found.notices == ()


@every_type
def test_without_such_an_address_the_stack_is_looked_through(write, tmp_path: Path):
    stack = [1, NT[1] + 5, FLTMGR[1] + 6, OURS[1] + 7, 0, OURS[1] + 7]
    dump = SyntheticDump(0xE3, (1, 2, 3, 0), [NT, FLTMGR, OURS], stack)

    found = read_crash(write(dump, tmp_path / "dump"), NO_SYMBOLS)

    assert [location.module for location in found.stack] == ["ntoskrnl.exe", "FLTMGR.SYS", "fltlab-above.sys"]
    assert found.suspect == "fltlab-above.sys"
    assert any(
        line.startswith("guess: fltlab-above.sys, because it is the first on the stack") for line in found.lines()
    )


def test_a_driver_under_test_comes_before_another_one_on_the_stack(tmp_path: Path):
    other = ("other.sys", 0xFFFF_F804_0000_0000, 0x1000, 1)
    dump = SyntheticDump(0xE3, (1, 2, 3, 0), [NT, other, OURS], [other[1] + 1, OURS[1] + 1])
    path = dump.full(tmp_path / "dump")

    assert read_crash(path, NO_SYMBOLS).suspect == "other.sys"
    assert read_crash(path, NO_SYMBOLS, ["fltlab-above"]).suspect == "fltlab-above.sys"


def test_no_driver_is_blamed_when_only_windows_was_there(tmp_path: Path):
    dump = SyntheticDump(0x24, (1, 2, 3, 4), [NT, FLTMGR], [NT[1] + 1, FLTMGR[1] + 1])

    assert read_crash(dump.full(tmp_path / "dump"), NO_SYMBOLS).suspect is None


def test_our_own_drivers_are_shown_with_function_and_line(tmp_path: Path):
    output = SUPPORT.parent / "build" / "drivers"
    observer = build_drivers(SUPPORT, output, ["observer"])["observer"]
    build = build_of(observer.sys)
    assert build is not None
    base = 0xFFFF_F803_0000_0000
    loaded = ("fltlab-below.sys", base, build[1], build[0])
    dump = SyntheticDump(0x50, (0, 0, base + 0x1100, 2), [NT, loaded])

    at = read_crash(dump.bitmap(tmp_path / "dump"), Symbols([output])).instruction

    assert at is not None
    assert at.driver == "observer"
    assert at.function
    assert at.source is not None
    assert at.source.startswith("drivers/")


@every_type
def test_a_dump_that_is_cut_short_is_told_as_far_as_it_goes(write, tmp_path: Path):
    dump = SyntheticDump(0xD1, (0x10, 2, 1, OURS[1] + 1), [NT, OURS])
    path = write(dump, tmp_path / "dump")
    path.write_bytes(path.read_bytes()[:-100])

    found = read_crash(path, NO_SYMBOLS)

    assert found.bugcheck.code == 0xD1
    assert found.notices[0].startswith("cut short: the file has")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"not a dump at all", "is no dump of a Windows kernel"),
        (b"PAGEDU64" + bytes(500), "is cut short: it has 508 bytes"),
        (b"PAGEDUMP" + bytes(0x3000), "of a 32-bit Windows"),
        (b"MDMP" + bytes(100), "a dump of a process"),
        (b"\x7fELF" + bytes(100), "an ELF dump"),
    ],
)
def test_a_file_that_is_no_such_dump_is_wrong_use(content, said, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "file"
    path.write_bytes(content)

    assert main(["crash", str(path)]) == ExitCode.USAGE
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_file_that_is_not_there_and_another_machine_are_wrong_use(tmp_path: Path):
    with pytest.raises(DumpError, match="cannot be read"):
        read_crash(tmp_path / "none", NO_SYMBOLS)
    with pytest.raises(DumpError, match="another kind of machine"):
        read_crash(SyntheticDump(machine=0xAA64).full(tmp_path / "arm"), NO_SYMBOLS)


def test_json_has_what_the_text_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    dump = SyntheticDump(0xC4, (0x62, 0x1000, 0, 3), [NT, OURS], [OURS[1] + 9])

    assert main(["crash", str(dump.mini(tmp_path / "dump")), "--json"]) == ExitCode.PASSED

    document = json.loads(capsys.readouterr().out)
    assert document["bugcheck"]["name"] == "DRIVER_VERIFIER_DETECTED_VIOLATION"
    assert "pool that it has not freed" in document["bugcheck"]["says"]
    assert document["bugcheck"]["parameters"][3] == {"value": 3, "meaning": "number of blocks"}
    assert document["guess"]["module"] == "fltlab-above.sys"
    assert (document["type"], document["build"], document["uptime_seconds"]) == ("mini", 26100, 90.0)


@pytest.mark.parametrize(
    "code", [0x1A, 0x24, 0x50, 0x7E, 0x9F, 0xA, 0xC2, 0xC4, 0xC5, 0xC9, 0xD1, 0xE3, 0xF5, 0x133, 0x139]
)
def test_the_codes_that_file_system_people_meet_have_a_meaning(code: int):
    found = explain(code, (0, 1, 2, 3))

    assert found.says
    assert found.parameters[0].meaning
    assert found.name != f"0x{code:08X}"


@pytest.mark.parametrize(
    ("code", "parameters", "said"),
    [
        (0xF5, (0x66, 1, 0, 0), "no post-operation callback"),
        (0xC9, (0x20A, 0x1234, 0, 0), "freed that is still in use"),
        (0xC9, (0x299, 0x1234, 0, 0), "I/O verification"),
        (0x7E, (0xC0000005, 0x1234, 0, 0), "0xC0000005 ACCESS_VIOLATION"),
        (0x139, (3, 0, 0, 0), "LIST_ENTRY"),
    ],
)
def test_what_parameter_1_says_more_closely_is_in_the_lines(code, parameters, said):
    assert said in "\n".join(explain(code, parameters).lines())


def test_an_unknown_code_is_shown_with_its_numbers():
    found = explain(0xDEAD, (1, 2, 3, 4))

    assert found.name == "0x0000DEAD"
    assert found.lines()[0] == "no meaning of this code is known to fltlab"
    assert found.lines()[4] == "parameter 4: 0x0000000000000004"


def test_the_catalogue_is_well_formed():
    import yaml

    catalogue = yaml.safe_load(FILE.read_text())
    for code, entry in catalogue.items():
        assert BugCheck(code)
        assert len(entry["parameters"]) == 4
        assert entry["says"]
        for case in [*entry.get("cases", {}).values(), *([entry["from"]] if "from" in entry else [])]:
            assert len(case.get("parameters", [None] * 3)) == 3
            assert case.get("instruction", 2) in {2, 3, 4}


@pytest.mark.parametrize("kind", ["full", "bitmap"])
def test_kdmp_parser_finds_the_same_memory_in_our_dumps(kind: str, tmp_path: Path):
    kdmp_parser = pytest.importorskip("kdmp_parser")
    dump = SyntheticDump(0xD1, (1, 2, 3, 4), [NT, OURS])
    path = dump.full(tmp_path / "dump") if kind == "full" else dump.bitmap(tmp_path / "dump", 5)

    theirs = kdmp_parser.KernelDumpParser(str(path))

    data = path.read_bytes()
    header = read_header(data, "dump")
    pages = pages_of(header, data)
    assert pages is not None
    for address in (LIST_HEAD, STACK):
        ours = PagedMemory(data, pages, header.directory_table).read(address & ~0xFFF, PAGE)
        assert bytes(theirs.read_virtual_page(address, header.directory_table)) == ours
    through_theirs = kdmp_memory(path, header.directory_table)
    assert through_theirs is not None
    assert modules_in_memory(through_theirs, header.loaded_modules) == read_crash(path, NO_SYMBOLS).modules


@pytest.mark.parametrize("write", [SyntheticDump.full, SyntheticDump.bitmap])
def test_what_was_printed_before_the_crash_is_shown(write, tmp_path: Path):
    said = b"flt: attached\r\nflt: leaked a context\n"

    found = read_crash(write(SyntheticDump(0xF5, (0x6D, 1, 2, 0), printed=said), tmp_path / "dump"), NO_SYMBOLS)

    assert found.messages == ("flt: attached", "flt: leaked a context")
    assert "  flt: leaked a context" in found.lines()
    assert found.as_json()["messages"] == list(found.messages)


def test_a_buffer_that_has_rolled_over_is_put_in_order(tmp_path: Path):
    said = b"".join(b"line %02d\n" % number for number in range(12))
    dump = SyntheticDump(0xF5, (0x6D, 1, 2, 0), printed=said, rolled_over=True)

    assert read_crash(dump.full(tmp_path / "dump"), NO_SYMBOLS).messages[1:] == tuple(
        f"line {number:02d}" for number in range(5, 12)
    )


def test_a_kind_of_dump_that_nobody_reads_still_gives_its_bug_check(tmp_path: Path):
    path = SyntheticDump(0x7E, (0xC0000005, 2, 3, 4)).bitmap(tmp_path / "dump", 9)

    found = read_crash(path, NO_SYMBOLS)

    assert found.bugcheck.name == "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED"
    assert "kernel and user memory dump is not read" in found.notices[0]
