"""What the driver kit declares and mingw-w64 lacks: kitmetadata.h, kitnames.h, ntstrsafe.h."""

from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.minifilter.build import build_drivers
from harness.minifilter.imports import INCLUDE
from harness.minifilter.kit_header import HEADER, make_header
from harness.minifilter.toolchain import KERNEL_TARGET, TARGET, Toolchain, run

# What drivers in the field are seen to use.
NAMES = """
    ExAllocatePoolZero ExAllocatePoolUninitialized ExAllocatePool2 ExAllocatePool3 ExFreePool2 POOL_ZERO_ALLOCATION
    POOL_FLAG_NON_PAGED POOL_FLAG_CACHE_ALIGNED Add2Ptr PtrOffset IS_ALIGNED ROUND_TO_SIZE KeMemoryBarrier
    EX_SPIN_LOCK ExAcquireSpinLockExclusive ExReleaseSpinLockShared ExAcquirePushLockExclusive MdlMappingNoExecute
    FILE_ID_INFORMATION FILE_ID_128 FILE_ID_EXTD_DIR_INFORMATION FILE_RENAME_INFORMATION_EX
    FILE_DISPOSITION_INFORMATION_EX FILE_STAT_INFORMATION FILE_STANDARD_INFORMATION_EX FILE_CASE_SENSITIVE_INFORMATION
    FILE_RENAME_POSIX_SEMANTICS FILE_DISPOSITION_POSIX_SEMANTICS FILE_LINK_REPLACE_IF_EXISTS
    FileDispositionInformationEx FileRenameInformationEx FileLinkInformationEx FileIdInformation FileStatInformation
    RTL_GENERIC_TABLE RtlInitializeGenericTable RtlInitializeGenericTableAvl SEC_IMAGE KEY_VALUE_PARTIAL_INFORMATION
    REG_SET_VALUE_KEY_INFORMATION CmCallbackGetKeyObjectIDEx PsSetCreateProcessNotifyRoutineEx2
    PsSetLoadImageNotifyRoutineEx SeLocateProcessImageName ZwQueryInformationThread PsGetProcessImageFileName
    OB_CALLBACK_REGISTRATION FSCTL_DUPLICATE_EXTENTS_TO_FILE IO_REPARSE_TAG_CLOUD SL_BYPASS_ACCESS_CHECK
    FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX FsRtlMdlReadEx MmCopyMemory
    RtlUnicodeStringCopy RtlUnicodeStringPrintf RtlStringCchPrintfW RtlStringCbCatNA RtlSuffixUnicodeString
    InterlockedExchange8 InterlockedIncrement16 InterlockedOrAcquire ReadAcquire WritePointerRelease MemoryBarrier
    InterlockedCompareExchange128 GUID_ECP_CREATE_REDIRECTION ExInitializeDriverRuntime RtlIsZeroMemory
    DECLARE_GLOBAL_CONST_UNICODE_STRING RTL_CONSTANT_OBJECT_ATTRIBUTES EXTERN_C_START FLT_MGR_LONGHORN DBG
    ExInitializeDriverRuntime DrvRtPoolNxOptIn IO_CSQ_INSERT_IRP ALLOCATE_FUNCTION_EX RTL_GENERIC_COMPARE_ROUTINE
    FILE_INVALID_FILE_ID FILE_STRUCTURED_STORAGE SL_NO_CURSOR_UPDATE_QUERY SEC_NO_CHANGE MdlMappingWithGuardPtes
""".split()  # noqa: SIM905 - read as a text

STRINGS = """
#include <fltkernel.h>
#include <ntstrsafe.h>
C_ASSERT(sizeof(FILE_RENAME_INFORMATION) == 24 && FIELD_OFFSET(FILE_RENAME_INFORMATION, FileName) == 20);
C_ASSERT(FIELD_OFFSET(FILE_LINK_INFORMATION, FileName) == 20);
C_ASSERT(sizeof(FILE_STAT_INFORMATION) == 72);
C_ASSERT(sizeof(FILE_ID_INFORMATION) == 24);
"""
ANNOTATED = """
#include <fltkernel.h>
_IRQL_always_function_max_(APC_LEVEL) _Kernel_requires_resource_held_(Lock) _Ret_maybenull_
PVOID Annotated(_Pre_valid_ _Post_invalid_ PVOID *Taken, _Outptr_ _Pre_maybenull_ PVOID *Given,
                __in_ecount_opt(1) PVOID Old, __drv_mustHold(Memory) const PVOID Held)
{
    UNREFERENCED_PARAMETER(Given = NULL);
    UNREFERENCED_PARAMETER(Held);
    return Taken != NULL ? Old : NULL;
}
"""
TWO_FILES = """
#include <fltkernel.h>
#include <ntstrsafe.h>
NTSTATUS %s(PUNICODE_STRING Text)
{
    WCHAR Buffer[8];

    RtlStringCchPrintfW(Buffer, 8, L"%%s", L"x");
    return RtlUnicodeStringCatString(Text, Buffer);
}
"""
INLINE = """
#include <fltkernel.h>
static __forceinline ULONG One(ULONG Value) { return Value + 1; }
__forceinline static ULONG Two(ULONG Value) { return Value + 2; }
__forceinline ULONG Three(ULONG Value) { return Value + 3; }
FORCEINLINE ULONG Four(ULONG Value) { return Value + 4; }
NTSTATUS %s(PUNICODE_STRING Text)
{
    ULONG Sum = One(Text->Length);

    __try {
        Sum += One(Sum) + Two(Sum) + Three(Sum) + Four(Sum);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Sum = 0;
    }
    return (NTSTATUS)Sum;
}
"""
ENTRY = """
NTSTATUS Other(PUNICODE_STRING Text);
static PFLT_FILTER Filter;
NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION Registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations};
    NTSTATUS Status = STATUS_SUCCESS;

    try {
        if (Other(RegistryPath) == First(RegistryPath)) {
            leave;
        }
    } finally {
        Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    }
    return Status;
}
"""


def compile_text(toolchain: Toolchain, text: str, scratch: Path) -> None:
    source = scratch / "names.c"
    source.write_text(text)
    include = (f"-I{INCLUDE}", "-isystem", toolchain.mingw, "-isystem", toolchain.mingw / "ddk")
    run((toolchain.clang, *TARGET, *KERNEL_TARGET, "-w", *include, "-c", source, "-o", scratch / "names.obj"), "no")


def test_the_committed_header_is_what_the_metadata_says(toolchain: Toolchain) -> None:
    assert HEADER.read_text() == make_header(toolchain), "python -m harness.minifilter.kit_header writes it anew"


def test_what_drivers_use_is_declared(toolchain: Toolchain, tmp_path: Path) -> None:
    uses = "".join(f"#ifndef {name}\nint Size_{name} = sizeof({name});\n#endif\n" for name in NAMES)

    compile_text(toolchain, f"#include <fltkernel.h>\n#include <ntstrsafe.h>\n{uses}", tmp_path)


def test_a_name_that_nobody_declares_is_noticed(toolchain: Toolchain, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        compile_text(toolchain, "#include <fltkernel.h>\nint Size = sizeof(NO_SUCH_NAME);\n", tmp_path)


def test_layouts_written_by_hand_are_the_documented_ones(toolchain: Toolchain, tmp_path: Path) -> None:
    compile_text(toolchain, STRINGS, tmp_path)


def test_annotations_say_nothing_to_the_compiler(toolchain: Toolchain, tmp_path: Path) -> None:
    compile_text(toolchain, ANNOTATED, tmp_path)


@pytest.mark.parametrize("text", [TWO_FILES, INLINE], ids=["string functions", "forced inline functions"])
def test_a_driver_of_several_files_may_have_them_in_each(tmp_path: Path, text: str) -> None:
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "driver.yaml").write_text(
        "name: two\ndescription: two files\nsources: [first.c, other.c]\ncontrol: none\n"
    )
    (tmp_path / "two" / "first.c").write_text(text % "First" + ENTRY)
    (tmp_path / "two" / "other.c").write_text(text % "Other")

    built = build_drivers(tmp_path, tmp_path / "out")

    assert built["two"].sys.is_file()
