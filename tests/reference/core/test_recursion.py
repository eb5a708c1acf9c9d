"""A driver that comes back to itself until its kernel stack ends is named, with the call that leads to it again."""

from collections.abc import Callable

import pytest

from harness.nt import BugCheck
from harness.reference.windows.kernel import Kernel
from harness.reference.windows.verifier.bug_check_stop import BugCheckStop

DRIVER = r"""
static LARGE_INTEGER Cookie;
static HANDLE Key;

static NTSTATUS Set(VOID)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"Value");
    ULONG Value = 7;

    return ZwSetValueKey(Key, &Name, 0, REG_DWORD, &Value, sizeof(Value));
}

static NTSTATUS Callback(PVOID Context, PVOID Class, PVOID Information)
{
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Information);
    return (ULONG_PTR)Class == RegNtPreSetValueKey ? Set() : STATUS_SUCCESS;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT D, PUNICODE_STRING P)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\SOFTWARE\\own");
    UNICODE_STRING Altitude = RTL_CONSTANT_STRING(L"380000");
    OBJECT_ATTRIBUTES Attributes;

    UNREFERENCED_PARAMETER(P);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    ZwCreateKey(&Key, KEY_ALL_ACCESS, &Attributes, 0, NULL, 0, NULL);
    CmRegisterCallbackEx(Callback, &Altitude, D, NULL, &Cookie, NULL);
    return Set();
}
"""


def test_who_calls_itself_by_a_call_of_the_kernel_is_named_with_that_call(compile_driver: Callable[..., bytes]):
    kernel = Kernel()

    with pytest.raises(BugCheckStop) as stop:
        kernel.run(kernel.drivers.load("test", compile_driver(DRIVER, entry=False), None))

    assert (stop.value.code, stop.value.driver) == (BugCheck.UNEXPECTED_KERNEL_MODE_TRAP, "test")
    assert "the kernel stack is used up" in stop.value.message
    assert " calls ZwSetValueKey, which leads to test+" in stop.value.message
    (nearly,) = [finding for finding in kernel.verifier.findings if "nearly used up" in finding.text]
    assert nearly.driver == "test"
