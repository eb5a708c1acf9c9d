/*
 * stray: the name of a file that is opened says how it loses its way.
 */

#include <fltKernel.h>

#define TAG 'yrtS'

typedef VOID (*ROUTINE)(VOID);

static PFLT_FILTER Filter;
static KDPC Dpc;
static volatile LONG Calls;

static BOOLEAN
IsNamed(_In_ PFILE_OBJECT File, _In_ PCWSTR Wanted)
{
    UNICODE_STRING Suffix;
    UNICODE_STRING Tail = File->FileName;

    RtlInitUnicodeString(&Suffix, Wanted);
    if (Tail.Length < Suffix.Length) {
        return FALSE;
    }
    Tail.Buffer += (Tail.Length - Suffix.Length) / sizeof(WCHAR);
    Tail.Length = Suffix.Length;
    return RtlEqualUnicodeString(&Suffix, &Tail, TRUE);
}

static __attribute__((noinline)) VOID
Inner(ROUTINE Routine)
{
    Routine();
    InterlockedIncrement(&Calls); /* so that the call is none at the function's end */
}

static __attribute__((noinline)) VOID
Middle(ROUTINE Routine)
{
    Inner(Routine);
    InterlockedIncrement(&Calls);
}

static __attribute__((noinline)) VOID
Deep(volatile UCHAR *Before)
{
    volatile UCHAR Here[512];

    Here[0] = Before != NULL ? Before[0] : 1;
    Deep(Here);
    InterlockedIncrement(&Calls);
    Here[1] = Here[0];
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (IsNamed(FltObjects->FileObject, L"\\null")) {
        Middle(NULL);
    } else if (IsNamed(FltObjects->FileObject, L"\\wild")) {
        Middle((ROUTINE)(ULONG_PTR)0xFFFFF12345678900);
    } else if (IsNamed(FltObjects->FileObject, L"\\user")) {
        Middle((ROUTINE)(ULONG_PTR)0x7FFE0000);
    } else if (IsNamed(FltObjects->FileObject, L"\\odd")) {
        Middle((ROUTINE)(ULONG_PTR)0x8000000000001234);
    } else if (IsNamed(FltObjects->FileObject, L"\\pool")) {
        Middle((ROUTINE)ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG));
    } else if (IsNamed(FltObjects->FileObject, L"\\stack")) {
        Deep(NULL);
    } else if (IsNamed(FltObjects->FileObject, L"\\dpc")) {
        KeInitializeDpc(&Dpc, (PKDEFERRED_ROUTINE)(ULONG_PTR)0x10, NULL);
        KeInsertQueueDpc(&Dpc, NULL, NULL);
    } else if (IsNamed(FltObjects->FileObject, L"\\argument")) {
        RtlZeroMemory((PVOID)(ULONG_PTR)0xFFFFF12345678900, 8);
        KeSetEvent((PRKEVENT)(ULONG_PTR)0xFFFFF12345678900, 0, FALSE);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreCreate, NULL}, {IRP_MJ_OPERATION_END}};

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Filter);
        }
    }
    return Status;
}
