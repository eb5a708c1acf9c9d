"""Every structure that the kernel lays out is as Microsoft's metadata has it."""

import ctypes
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.minifilter.metadata import _import_on_linux, package_directory
from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.windows.structures import device_objects, fast_io_tables, file_objects, irp, mdl_layout

CLASSES: dict[str, type[Structure]] = {
    "IRP": irp.Irp,
    "IO_STACK_LOCATION": irp.IoStackLocation,
    "DRIVER_OBJECT": device_objects.DriverObject,
    "DRIVER_EXTENSION": device_objects.DriverExtension,
    "DEVICE_OBJECT": device_objects.DeviceObject,
    "DEVOBJ_EXTENSION": device_objects.DeviceObjectExtension,
    "VPB": device_objects.Vpb,
    "FILE_OBJECT": file_objects.FileObjectView,
    "SECTION_OBJECT_POINTERS": file_objects.SectionObjectPointers,
    "FSRTL_COMMON_FCB_HEADER": file_objects.CommonFcbHeader,
    "FSRTL_ADVANCED_FCB_HEADER": file_objects.AdvancedFcbHeader,
    "FAST_IO_DISPATCH": fast_io_tables.FastIoDispatch,
    "FS_FILTER_CALLBACKS": fast_io_tables.FsFilterCallbacks,
    "FS_FILTER_CALLBACK_DATA": fast_io_tables.FsFilterCallbackData,
    "MDL": mdl_layout.MdlView,
}
LARGER = {"DEVICE_OBJECT": 8, "DRIVER_EXTENSION": 0x38}
"""By how much the real one is larger: DEVICE_OBJECT is aligned to 16 bytes, DRIVER_EXTENSION goes on undocumented."""
MODULES = ("Foundation", "Storage.FileSystem", "System.SystemServices")


def _members(kind: Any, base: int = 0) -> dict[str, list[int]]:
    """Offsets of all members by the last part of their names, in small letters; nested ones of unnamed types too."""
    found: dict[str, list[int]] = {}
    for name, member, *_ in getattr(kind, "_fields_", ()):
        offset = base + getattr(kind, name).offset
        found.setdefault(name.lower(), []).append(offset)
        if hasattr(member, "_fields_") and member.__name__.startswith("_"):
            for inner, offsets in _members(member, offset).items():
                found.setdefault(inner, []).extend(offsets)
    return found


def describe(directory: Path) -> dict[str, Any]:
    """Sizes and offsets of the structures; in a process of its own, since importing the metadata changes ctypes."""
    _import_on_linux(directory)
    modules = [importlib.import_module(f"win32more.Windows.Wdk.{name}") for name in MODULES]
    found = {}
    for name in CLASSES:
        kind = next(getattr(module, name) for module in modules if hasattr(module, name))
        found[name] = {"size": ctypes.sizeof(kind), "members": _members(kind)}
    return found


@pytest.fixture(scope="module")
def metadata() -> dict[str, Any]:
    directory = package_directory()
    assert directory is not None, "the metadata comes with fltlab's `dev` extra"
    done = subprocess.run(
        [sys.executable, "-m", "tests.reference.io.test_structures", str(directory)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", CLASSES)
def test_a_structure_is_laid_out_as_microsofts_is(name: str, metadata: dict[str, Any]):
    ours, theirs = CLASSES[name], metadata[name]
    fields = {key: value for base in ours.__mro__ for key, value in vars(base).items() if isinstance(value, Field)}
    base_members = metadata["FSRTL_COMMON_FCB_HEADER"]["members"] if name == "FSRTL_ADVANCED_FCB_HEADER" else {}

    assert theirs["size"] + LARGER.get(name, 0) == ours.SIZE
    assert fields
    for key, field in fields.items():
        spelled = key.replace("_", "")
        assert field.offset in theirs["members"].get(spelled, base_members.get(spelled, [])), f"{name}.{key}"


if __name__ == "__main__":
    print(json.dumps(describe(Path(sys.argv[1]))))
