"""Drivers in C++: taken as Microsoft's compiler takes them, and what is done where clang itself comes to its end."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigurationError
from harness.minifilter.build import build_drivers
from harness.minifilter.toolchain import MOST_CRASHES, Compilation, Toolchain, find_toolchain
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.kernel import Kernel
from tests.minifilter.test_build_options import package


def test_cxx_is_taken_as_microsofts_compiler_takes_it(tmp_path: Path) -> None:
    """Headers shared with programs, floating point, a NULL of operator new: all as /kernel and its defaults have it."""
    source = r"""
#include <fltkernel.h>
#include <math.h>
#ifndef _KERNEL_MODE
#error this is no program
#endif
constexpr DOUBLE
M_LOG2E = 1.4426950408889634;
struct Item {
    ULONG Value = 7;
    void *operator new(size_t Size) { return ExAllocatePool2(POOL_FLAG_NON_PAGED, Size * 1000000000, 'metI'); }
    void operator delete(void *Pointer) { ExFreePool(Pointer); }
};
extern "C" PVOID MapIt(PMDL Mdl)
{
    return MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority | MdlMappingNoExecute);
}
extern "C" __declspec(dllexport) ULONG Constructed()
{
    return new Item != nullptr;
}
struct Held {
    LONG *Count;
    ~Held() { --*Count; }
};
static __declspec(noinline) LONG Read(ULONG *Nowhere, LONG *Count)
{
    Held Item{Count};

    return (LONG)*Nowhere;
}
extern "C" __declspec(dllexport) LONG Caught(ULONG *Nowhere)
{
    LONG Count = 1;

    __try {
        Count += Read(Nowhere, &Count);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Count += 100;
    }
    return Count;
}
extern "C" __declspec(dllexport) ULONG Rounded(ULONG Value)
{
    return (ULONG)((DOUBLE)Value * M_LOG2E);
}
extern "C" DRIVER_INITIALIZE DriverEntry;
extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT, PUNICODE_STRING)
{
    return STATUS_SUCCESS;
}
"""
    root = package(tmp_path, "name: real\ndescription: x\nsources: [real.cpp]\ncontrol: none\n", {"real.cpp": source})
    (built,) = build_drivers(root, tmp_path / "out").values()
    kernel = Kernel(seed=1)
    kernel.run(kernel.drivers.load("real", built.sys.read_bytes()))
    image = kernel.drivers.loaded["real"].image

    def call(function: str, *args: int) -> int:
        def body() -> Iterator[Any]:
            return (yield Call(image.base + image.exports[function], *args))

        return int(kernel.run(body(), function)) & 0xFFFF_FFFF

    assert call("Constructed") == 0
    assert call("Caught", 0) >= 100
    assert call("Rounded", 100) == 144


def crashing(folder: Path, times: int) -> Toolchain:
    """A toolchain whose compiler crashes so many times, then makes an empty object; its options lie in `options`."""
    clang = folder / "clang"
    clang.write_text(f"""#!/bin/sh
echo "$@" >>{folder}/options
if [ $(wc -l <{folder}/options) -le {times} ]; then
    echo "clang: error: clang frontend command failed with exit code 139" >&2
    exit 139
fi
: >x.obj; : >x.d
""")
    clang.chmod(0o755)
    return replace(find_toolchain(), clang=clang)


def compilation(folder: Path, text: str) -> Compilation:
    (folder / "x.cpp").write_text(text)
    return Compilation(folder / "x.cpp", folder / "x.obj", folder, (), cxx=True)


def test_clang_that_crashes_by_chance_is_asked_again_with_and_without_optimization(tmp_path: Path) -> None:
    crashing(tmp_path, 2).compile(compilation(tmp_path, "void F() { __try { G(); } __except (1) {} }"))

    asked = (tmp_path / "options").read_text().splitlines()
    assert [" -O0 " in options for options in asked] == [False, True, False]
    assert not [options for options in asked if "-fno-async-exceptions" in options]


def test_what_catches_nothing_is_compiled_without_what_lets_it(tmp_path: Path) -> None:
    crashing(tmp_path, 1).compile(compilation(tmp_path, "void F() {}"))

    asked = (tmp_path / "options").read_text().splitlines()
    assert ["-fno-async-exceptions" in options for options in asked] == [False, True]


def test_clang_that_always_crashes_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"x\.cpp does not compile") as caught:
        crashing(tmp_path, 1000).compile(compilation(tmp_path, "void F() { __try { G(); } __except (1) {} }"))

    assert caught.value.hint is not None
    assert "put what __try guards into a function of its own" in caught.value.hint
    assert len((tmp_path / "options").read_text().splitlines()) == MOST_CRASHES + 1
