"""C and Python agree on every layout, and the check finds it when they do not."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.minifilter import layout
from harness.minifilter.events import FIELDS
from harness.minifilter.imports import INCLUDE
from harness.minifilter.metadata import read_metadata
from harness.minifilter.toolchain import Toolchain


def test_everything_agrees_with_everything(toolchain: Toolchain, tmp_path: Path):
    layout.check_layout(toolchain, INCLUDE, tmp_path)

    assert len(list(tmp_path.iterdir())) == 1


def test_what_was_checked_is_not_compiled_again(toolchain: Toolchain, tmp_path: Path):
    layout.check_layout(toolchain, INCLUDE, tmp_path)
    without_compiler = dataclasses.replace(toolchain, clang=tmp_path / "none")

    layout.check_layout(without_compiler, INCLUDE, tmp_path)


def test_a_decoder_that_reads_elsewhere_is_found(toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    moved = [dataclasses.replace(field, offset=84) if field.c_name == "Returned" else field for field in FIELDS]
    monkeypatch.setattr(layout, "FIELDS", tuple(moved))

    with pytest.raises(ConfigurationError, match=r"FLTLAB_EVENT\.Returned"):
        layout.check_layout(toolchain, INCLUDE, tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("fltlab.h", "UCHAR NameLength;", "UCHAR NameSize;", "NameLength"),
        ("fltlab.h", "#define FLTLAB_PHASE_CANCEL 7u", "#define FLTLAB_PHASE_CANCEL 6u", "FLTLAB_PHASE_CANCEL"),
        ("fltkernel.h", "FLT_PREOP_COMPLETE,\n    FLT_PREOP_SYNCHRONIZE,",
         "FLT_PREOP_SYNCHRONIZE,\n    FLT_PREOP_COMPLETE,", "FLT_PREOP_COMPLETE"),
        ("fltparameters.h", "FILE_INFORMATION_CLASS POINTER_ALIGNMENT FileInformationClass;\n        PVOID InfoBuffer;",
         "FILE_INFORMATION_CLASS FileInformationClass;\n        PVOID InfoBuffer;",
         "QueryFileInformation.FileInformationClass"),
    ],
    ids=["member renamed", "number changed", "enum reordered", "alignment lost"],
)  # fmt: skip
def test_a_changed_header_is_found(file: str, old: str, new: str, named: str, toolchain: Toolchain, tmp_path: Path):
    include = tmp_path / "include"
    shutil.copytree(INCLUDE, include)
    text = (include / file).read_text()
    assert old in text
    (include / file).write_text(text.replace(old, new, 1))

    with pytest.raises(ConfigurationError, match=named):
        layout.check_layout(toolchain, include, tmp_path / "stamps")


def test_microsofts_metadata_is_there_and_is_compared():
    metadata = read_metadata()

    assert metadata is not None
    assert metadata.structures["FLT_CALLBACK_DATA"].offsets["FilterContext"] == 48
    assert metadata.constants["IRP_MJ_VOLUME_DISMOUNT"] == 0xEC
    assert "FLT_PARAMETERS" not in metadata.structures
    assert "FLT_REGISTRATION.SectionNotificationCallback (metadata)" in layout.assertions(metadata)


def test_an_export_that_one_side_lacks_is_named(toolchain: Toolchain, tmp_path: Path):
    include = tmp_path / "include"
    shutil.copytree(INCLUDE, include)
    lines = (include / "fltmgr.def").read_text().splitlines()
    (include / "fltmgr.def").write_text("\n".join(line for line in lines if line != "FltReadFile") + "\n")

    with pytest.raises(ConfigurationError, match="FltReadFile"):
        layout.check_layout(toolchain, include, tmp_path / "stamps")
