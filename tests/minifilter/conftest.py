"""Drivers for the tests of this room: ours, built once, and small ones of a user's own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers
from harness.minifilter.toolchain import Toolchain, find_toolchain

PASSES_EVERYTHING = """\
#include <fltKernel.h>

static PFLT_FILTER Filter;

DRIVER_INITIALIZE DriverEntry;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#endif

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION Registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations};

    UNREFERENCED_PARAMETER(RegistryPath);
    return FltRegisterFilter(DriverObject, &Registration, &Filter);
}
"""


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    return find_toolchain()


@pytest.fixture(scope="session")
def built() -> dict[str, BuiltDriver]:
    """Everything of ours, as `fltlab drivers build` leaves them."""
    return build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers")


@pytest.fixture
def user_driver(tmp_path: Path) -> Callable[..., Path]:
    """Make a driver of a user's own below `tmp_path / "tree"`; return that tree."""

    def make(name: str = "mine", *, source: str = PASSES_EVERYTHING, manifest: str | None = None) -> Path:
        directory = tmp_path / "tree" / name
        directory.mkdir(parents=True)
        (directory / f"{name}.c").write_text(source)
        text = manifest or f"name: {name}\ndescription: a user's own\nsources: [{name}.c]\n"
        (directory / "driver.yaml").write_text(text)
        return tmp_path / "tree"

    return make
