"""Headers that the kit's trace preprocessors make: what the sources and manifests name, and nothing that is there."""

from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.minifilter.trace_headers import write_trace_headers

MANIFEST = """<?xml version="1.0"?>
<instrumentationManifest xmlns="http://schemas.microsoft.com/win/2004/08/events"><instrumentation><events>
<provider name="A Driver" symbol="ADriverGuid" guid="{00112233-4455-6677-8899-AABBCCDDEEFF}">
<events><event symbol="Started" value="1"/><event value="2"/></events>
</provider></events></instrumentation></instrumentationManifest>"""


def sources(root: Path, **files: str) -> list[Path]:
    for name, text in files.items():
        (root / name.replace("_", ".")).write_text(text)
    return sorted(root.glob("*.c"))


def made(root: Path, functions: str = "") -> dict[str, str]:
    folder = write_trace_headers(root / "made", sorted(root.glob("*.c")), [], functions)
    return {} if folder is None else {path.name: path.read_text() for path in folder.iterdir()}


def test_functions_come_from_the_configuration_in_any_source_or_header_and_from_the_project(tmp_path: Path) -> None:
    configuration = "// begin_wpp config\n// FUNC Told(LEVEL, MSG, ...);\n// FUNC Entry{LEVEL=5}(FLAGS);\n// end_wpp\n"
    sources(tmp_path, a_c='#include "a.tmh"\n', trace_h=configuration + "// FUNC NotOne(MSG)\n")

    text = made(tmp_path, "Said(MSG,...);Failed{LEVEL=1}(FLAGS,MSG,...)")["a.tmh"]

    for name in (
        "Told",
        "Entry",
        "Said",
        "Failed",
        "DoTraceMessage",
        "WPP_INIT_TRACING",
        "WPP_CLEANUP",
        "WPP_SYSTEMCONTROL",
    ):
        assert f"#define {name}(...) ((void)0)\n" in text
    assert "#define WPP_LEVEL_ENABLED(...) 0\n" in text
    assert "NotOne" not in text


def test_a_header_that_lies_beside_the_sources_is_left_alone(tmp_path: Path) -> None:
    sources(tmp_path, a_c='#include "A.TMH"\n#include <b.tmh>\n', a_tmh="/* made by the kit */\n")

    assert list(made(tmp_path)) == ["b.tmh"]


def test_sources_that_trace_nothing_need_nothing(tmp_path: Path) -> None:
    sources(tmp_path, a_c="#include <fltKernel.h>\n", b_man=MANIFEST)

    assert made(tmp_path) == {}


def test_a_manifest_becomes_the_header_of_its_name(tmp_path: Path) -> None:
    sources(tmp_path, a_c='#include "Events.h"\n', events_man=MANIFEST)

    text = made(tmp_path)["Events.h"]

    assert "GUID ADriverGuid = {0x00112233, 0x4455, 0x6677, {0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF}};" in text
    assert "#define EventRegisterA_Driver() " in text
    assert "#define EventUnregisterA_Driver() " in text
    assert "#define EventWriteStarted(...) ((ULONG)0)\n" in text


@pytest.mark.parametrize("content", ["no XML", MANIFEST.replace("0011", "")])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    sources(tmp_path, a_c='#include "Events.h"\n', events_man=content)

    with pytest.raises(ConfigurationError, match=r"events\.man"):
        made(tmp_path)


def test_the_same_sources_make_the_same_directory(tmp_path: Path) -> None:
    files = sources(tmp_path, a_c='#include "a.tmh"\n')

    assert write_trace_headers(tmp_path / "made", files, []) == write_trace_headers(tmp_path / "made", files, [])
