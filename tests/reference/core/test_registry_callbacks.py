"""Registry callbacks: drivers are told of what is done with keys, before and after, and may refuse it."""

from collections.abc import Callable

import pytest

from harness.nt import NtStatus
from harness.reference.process.host import Host
from harness.reference.windows.kernel import Kernel
from harness.wire import kernel as wire
from harness.wire.registry_edits import Edited, EditRegistry
from tests.reference.core.conftest import Machine

# ruff: noqa: E501  (C declarations, one line each)

DRIVER = r"""
static LARGE_INTEGER High, Low;
static UNICODE_STRING Upper = RTL_CONSTANT_STRING(L"380000.5"), Lower = RTL_CONSTANT_STRING(L"380000");

static NTSTATUS Callback(PVOID Context, PVOID Class, PVOID Information)
{
    REG_NOTIFY_CLASS What = (REG_NOTIFY_CLASS)(ULONG_PTR)Class;
    PCUNICODE_STRING Name;

    if (What == RegNtPreSetValueKey) {
        PREG_SET_VALUE_KEY_INFORMATION Set = Information;

        if (NT_SUCCESS(CmCallbackGetKeyObjectIDEx(&High, Set->Object, NULL, (PUNICODE_STRING *)&Name, 0))) {
            DbgPrint("%s sets %wZ of %wZ: %u bytes\n", Context, Set->ValueName, Name, Set->DataSize);
            CmCallbackReleaseKeyObjectIDEx((PUNICODE_STRING)Name);
        }
        if (*(PCHAR)Context == 'u' && Set->ValueName->Length == 12) {
            return STATUS_ACCESS_DENIED;
        }
    } else if (What == RegNtPostSetValueKey) {
        DbgPrint("%s has %08x\n", Context, ((PREG_POST_OPERATION_INFORMATION)Information)->Status);
    } else if (What == RegNtPreCreateKeyEx) {
        DbgPrint("%s creates %wZ\n", Context, ((PREG_CREATE_KEY_INFORMATION)Information)->CompleteName);
    } else if (What == RegNtPreDeleteKey) {
        return STATUS_CALLBACK_BYPASS;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS Set(HANDLE Key, PCWSTR Text)
{
    ULONG Value = 7;
    UNICODE_STRING Name;

    RtlInitUnicodeString(&Name, Text);
    return ZwSetValueKey(Key, &Name, 0, REG_DWORD, &Value, sizeof(Value));
}

static VOID Unload(PDRIVER_OBJECT D) { UNREFERENCED_PARAMETER(D); CmUnRegisterCallback(High); }

NTSTATUS DriverEntry(PDRIVER_OBJECT D, PUNICODE_STRING P)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\SYSTEM\\CurrentControlSet\\Services\\own");
    OBJECT_ATTRIBUTES Attributes;
    HANDLE Key;

    UNREFERENCED_PARAMETER(P);
    D->DriverUnload = Unload;
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    CmRegisterCallbackEx(Callback, &Lower, D, "lower", &Low, NULL);
    CmRegisterCallbackEx(Callback, &Upper, D, "upper", &High, NULL);
    DbgPrint("again %08x\n", CmRegisterCallbackEx(Callback, &Upper, D, "upper", &High, NULL));
    ZwCreateKey(&Key, KEY_ALL_ACCESS, &Attributes, 0, NULL, 0, NULL);
    DbgPrint("set %08x\n", Set(Key, L"Open"));
    DbgPrint("set %08x\n", Set(Key, L"Locked"));
    DbgPrint("delete %08x\n", ZwDeleteKey(Key));
    ZwClose(Key);
    return STATUS_SUCCESS;
}
"""
CONTEXTS = r"""
static LARGE_INTEGER Cookie;
static UNICODE_STRING Altitude = RTL_CONSTANT_STRING(L"380000");
static ULONG Opens;
static PVOID Kept;

static NTSTATUS Callback(PVOID Context, PVOID Class, PVOID Information)
{
    REG_NOTIFY_CLASS What = (REG_NOTIFY_CLASS)(ULONG_PTR)Class;
    PREG_POST_OPERATION_INFORMATION Post = Information;
    PVOID Old = &Old;

    UNREFERENCED_PARAMETER(Context);
    if (What == RegNtPreCreateKeyEx) {
        ((PREG_CREATE_KEY_INFORMATION)Information)->CallContext = (PVOID)(ULONG_PTR)77;
        DbgPrint("root %p\n", ((PREG_CREATE_KEY_INFORMATION)Information)->RootObjectContext);
    } else if (What == RegNtPostCreateKeyEx && NT_SUCCESS(Post->Status)) {
        Kept = Post->Object;
        CHECK(Post->CallContext == (PVOID)(ULONG_PTR)77 && CmGetBoundTransaction(&Cookie, Kept) == NULL);
        CHECK(CmSetCallbackObjectContext(Kept, &Cookie, (PVOID)(ULONG_PTR)(0x100 + ++Opens), &Old) == STATUS_SUCCESS && Old == NULL);
    } else if (What == RegNtPreSetValueKey) {
        DbgPrint("set %p\n", ((PREG_SET_VALUE_KEY_INFORMATION)Information)->ObjectContext);
    } else if (What == RegNtPreRenameKey) {
        DbgPrint("rename %p to %wZ\n", ((PREG_RENAME_KEY_INFORMATION)Information)->ObjectContext, ((PREG_RENAME_KEY_INFORMATION)Information)->NewName);
    } else if (What == RegNtPostRenameKey) {
        DbgPrint("renamed %p %08x\n", Post->ObjectContext, Post->Status);
    } else if (What == RegNtPreKeyHandleClose) {
        DbgPrint("close %p\n", ((PREG_KEY_HANDLE_CLOSE_INFORMATION)Information)->ObjectContext);
    } else if (What == RegNtPostKeyHandleClose) {
        DbgPrint("closed\n");
    } else if (What == RegNtCallbackObjectContextCleanup) {
        DbgPrint("cleanup %p\n", ((PREG_CALLBACK_CONTEXT_CLEANUP_INFORMATION)Information)->ObjectContext);
    }
    return STATUS_SUCCESS;
}

static NTSTATUS Create(HANDLE Root, PCWSTR Text, PHANDLE Key)
{
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING Name;

    RtlInitUnicodeString(&Name, Text);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, Root, NULL);
    return ZwCreateKey(Key, KEY_ALL_ACCESS, &Attributes, 0, NULL, 0, NULL);
}

EXPORT ULONG Contexts(void)
{
    UNICODE_STRING Value = RTL_CONSTANT_STRING(L"v"), New = RTL_CONSTANT_STRING(L"New"), Path = RTL_CONSTANT_STRING(L"a\\b"), Other = RTL_CONSTANT_STRING(L"other");
    LARGE_INTEGER Wrong = { .QuadPart = 5 };
    HANDLE First, Second, Third;

    CHECK(CmRegisterCallbackEx(Callback, &Altitude, &Cookie, NULL, &Cookie, NULL) == STATUS_SUCCESS);
    CHECK(Create(NULL, L"\\Registry\\Machine\\SOFTWARE\\one", &First) == STATUS_SUCCESS);
    CHECK(Create(NULL, L"\\Registry\\Machine\\SOFTWARE\\one", &Second) == STATUS_SUCCESS);
    CHECK(Create(Second, L"other", &Third) == STATUS_SUCCESS);
    CHECK(CmSetCallbackObjectContext(Kept, &Wrong, NULL, NULL) == STATUS_INVALID_PARAMETER);
    CHECK(CmSetCallbackObjectContext(&Wrong, &Cookie, NULL, NULL) == STATUS_INVALID_PARAMETER);
    CHECK(ZwSetValueKey(Second, &Value, 0, REG_SZ, NULL, 0) == STATUS_SUCCESS);
    ZwClose(Second);
    CHECK(ZwRenameKey(First, &New) == STATUS_SUCCESS && ZwRenameKey(Third, &Path) == STATUS_INVALID_PARAMETER);
    CHECK(Create(First, L"more", &Second) == STATUS_SUCCESS && ZwRenameKey(Second, &Other) == STATUS_OBJECT_NAME_COLLISION);
    CHECK(ZwDeleteKey(Second) == STATUS_SUCCESS);
    ZwClose(Second);
    CHECK(CmUnRegisterCallback(Cookie) == STATUS_SUCCESS && CmUnRegisterCallback(Cookie) == STATUS_INVALID_PARAMETER);
    ZwClose(First);
    ZwClose(Third);
    return Checks;
}
"""
KEY = r"\REGISTRY\MACHINE\SYSTEM\ControlSet001\Services\own"


@pytest.fixture(scope="module")
def told(compile_driver: Callable[..., bytes]) -> tuple[Kernel, list[str]]:
    kernel = Kernel()
    assert kernel.run(kernel.drivers.load("test", compile_driver(DRIVER, entry=False), None)) == 0
    return kernel, [line.strip() for line in kernel.log]


def test_the_higher_is_asked_first_and_told_last(told: tuple[Kernel, list[str]]):
    _, lines = told

    assert lines[1:8] == [
        r"upper creates \Registry\Machine\SYSTEM\CurrentControlSet\Services\own",
        r"lower creates \Registry\Machine\SYSTEM\CurrentControlSet\Services\own",
        rf"upper sets Open of {KEY}: 4 bytes",
        rf"lower sets Open of {KEY}: 4 bytes",
        "lower has 00000000",
        "upper has 00000000",
        "set 00000000",
    ]


def test_one_that_refuses_is_the_last_to_be_asked_and_nothing_is_done(told: tuple[Kernel, list[str]]):
    kernel, lines = told

    assert lines[8:10] == [rf"upper sets Locked of {KEY}: 4 bytes", "set c0000022"]
    key = kernel.registry.find(r"\REGISTRY\MACHINE\SYSTEM\CurrentControlSet\Services\own")
    assert key is not None
    assert [value.name for value in key.values.values()] == ["Open"]


def test_a_bypass_is_a_success_that_does_nothing(told: tuple[Kernel, list[str]]):
    kernel, lines = told

    assert lines[10:] == ["delete 00000000"]
    assert kernel.registry.find(r"\REGISTRY\MACHINE\SYSTEM\CurrentControlSet\Services\own") is not None


def test_an_altitude_is_one_drivers_and_what_is_left_registered_is_a_leak(told: tuple[Kernel, list[str]]):
    kernel, lines = told

    assert lines[0] == "again c01c0011"
    kernel.run(kernel.drivers.unload(kernel.drivers.loaded["test"]))
    (finding,) = kernel.verifier.findings
    assert finding.text.startswith(
        "unloaded with a registry callback held and not given back: CmUnRegisterCallback, taken at test+0x"
    )


def test_reg_edits_by_the_services_and_a_driver_refuses_it(load: Callable[..., Machine]) -> None:
    machine = load(DRIVER, entry=False)
    host = Host(machine.kernel)
    before = len(machine.kernel.log)

    added = host.answer(EditRegistry(r"SOFTWARE\ours", "word", "REG_SZ", b"a\0\0\0"))
    refused = host.answer(EditRegistry(r"SOFTWARE\ours", "secret", "REG_DWORD", bytes(4)))
    gone = host.answer(EditRegistry(r"SOFTWARE\ours", "word", delete=True))

    assert added == Edited(registry_changed=True)
    assert isinstance(refused, wire.Refused)
    assert refused.ntstatus & 0xFFFF_FFFF == NtStatus.ACCESS_DENIED
    assert isinstance(gone, Edited)
    told = [line.strip() for line in machine.kernel.log[before:]]
    assert r"upper sets word of \REGISTRY\MACHINE\SOFTWARE\ours: 4 bytes" in told
    key = machine.kernel.registry.find(r"\Registry\Machine\SOFTWARE\ours")
    assert key is not None
    assert key.values == {}
    assert machine.findings == []


def test_an_open_has_a_context_of_each_callback_which_ends_with_it_or_with_the_callback(load: Callable[..., Machine]):
    machine = load(CONTEXTS)

    machine.check("Contexts")

    hexadecimal = [line.strip().replace("00000000000", "") for line in machine.kernel.log]
    assert hexadecimal == [
        "root 00000",
        "root 00000",
        "root 00102",
        "set 00102",
        "close 00102",
        "closed",
        "cleanup 00102",
        "rename 00101 to New",
        "renamed 00101 00000000",
        r"rename 00103 to a\b",
        "renamed 00103 c000000d",
        "root 00101",
        "rename 00104 to other",
        "renamed 00104 c0000035",
        "close 00104",
        "closed",
        "cleanup 00104",
        "cleanup 00101",
        "cleanup 00103",
    ]
    assert machine.kernel.registry.find(r"\REGISTRY\MACHINE\SOFTWARE\New\other") is not None
    assert machine.kernel.registry.find(r"\REGISTRY\MACHINE\SOFTWARE\one") is None
    assert machine.unload() == []
