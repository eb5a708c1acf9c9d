/*
 * legacy.c: a legacy file-system filter driver: DriverEntry, and IRPs that are passed down as they came.
 *
 * It attaches to V: wherever that is in the device stack when the driver starts: above all that is attached already. So
 * the order of loading decides whether it stands above, between or below minifilters (ifs/filter-manager-concepts.md).
 */

#include "legacy.h"

PDRIVER_OBJECT LegacyDriver;
ULONG LegacyOptions;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD LegacyUnload;
static DRIVER_DISPATCH LegacyDispatch;
static NTSTATUS ReadOptions(PUNICODE_STRING RegistryPath);

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(INIT, ReadOptions)
#endif

static const struct {
    PCWSTR Word;
    ULONG Option;
} Words[] = {
    {L"pend-reads", LEGACY_PEND_READS},         {L"resend-reads", LEGACY_RESEND_READS},
    {L"complete-reads", LEGACY_COMPLETE_READS}, {L"no-fast-io", LEGACY_NO_FAST_IO},
    {L"watch-reads", LEGACY_WATCH_READS},       {L"complete-all", LEGACY_COMPLETE_ALL},
};

/* One word of the REG_MULTI_SZ Parameters\Options. */
static NTSTATUS NTAPI
ReadOption(PWSTR Name, ULONG Type, PVOID Data, ULONG Length, PVOID Context, PVOID EntryContext)
{
    UNICODE_STRING Given;
    ULONG At;

    UNREFERENCED_PARAMETER(Name);
    UNREFERENCED_PARAMETER(Length);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(EntryContext);
    if (Type != REG_SZ) {
        return STATUS_INVALID_PARAMETER;
    }
    RtlInitUnicodeString(&Given, Data);
    for (At = 0; At < RTL_NUMBER_OF(Words); At++) {
        UNICODE_STRING Known;

        RtlInitUnicodeString(&Known, Words[At].Word);
        if (RtlEqualUnicodeString(&Given, &Known, TRUE)) {
            LegacyOptions |= Words[At].Option;
            return STATUS_SUCCESS;
        }
    }
    return STATUS_INVALID_PARAMETER;
}

static NTSTATUS
ReadOptions(PUNICODE_STRING RegistryPath)
{
    /* The path in RegistryPath need not end with a zero: RtlQueryRegistryValues wants one that does. */
    RTL_QUERY_REGISTRY_TABLE Table[2] = {{ReadOption, 0, L"Options", NULL, REG_NONE, NULL, 0}};
    UNICODE_STRING Parameters;
    NTSTATUS Status;

    Parameters.Length = 0;
    Parameters.MaximumLength = RegistryPath->Length + sizeof(L"\\Parameters");
    Parameters.Buffer = ExAllocatePoolWithTag(PagedPool, Parameters.MaximumLength, LEGACY_TAG);
    if (Parameters.Buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlCopyUnicodeString(&Parameters, RegistryPath);
    RtlAppendUnicodeToString(&Parameters, L"\\Parameters");
    Parameters.Buffer[Parameters.Length / sizeof(WCHAR)] = 0;
    Status = RtlQueryRegistryValues(RTL_REGISTRY_ABSOLUTE, Parameters.Buffer, Table, NULL, NULL);
    ExFreePoolWithTag(Parameters.Buffer, LEGACY_TAG);
    return Status == STATUS_OBJECT_NAME_NOT_FOUND ? STATUS_SUCCESS : Status;
}

NTSTATUS NTAPI
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;
    ULONG Major;

    Status = ReadOptions(RegistryPath);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    LegacyDriver = DriverObject;
    for (Major = 0; Major <= IRP_MJ_MAXIMUM_FUNCTION; Major++) {
        DriverObject->MajorFunction[Major] = LegacyDispatch;
    }
    DriverObject->MajorFunction[IRP_MJ_READ] = LegacyRead;
    DriverObject->MajorFunction[IRP_MJ_FILE_SYSTEM_CONTROL] = LegacyFileSystemControl;
    DriverObject->FastIoDispatch = &LegacyFastIo;
    DriverObject->DriverUnload = LegacyUnload;
    /* Called at once for every file system that is there, and for each that comes later. */
    return IoRegisterFsRegistrationChange(DriverObject, LegacyFileSystemChanged);
}

/*
 * Detaching from a stack that is in use is never safe: an IRP may be on its way between two devices. It is done here
 * since a test ends its I/O before it unloads anything; a product has no DriverUnload.
 */
static void NTAPI
LegacyUnload(PDRIVER_OBJECT DriverObject)
{
    IoUnregisterFsRegistrationChange(DriverObject, LegacyFileSystemChanged);
    LegacyDetachAll();
}

NTSTATUS
LegacyPassDown(PDEVICE_OBJECT Device, PIRP Irp)
{
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(LegacyBelow(Device), Irp);
}

static NTSTATUS NTAPI
LegacyDispatch(PDEVICE_OBJECT Device, PIRP Irp)
{
    if (IoGetCurrentIrpStackLocation(Irp)->MajorFunction == IRP_MJ_CREATE) {
        LegacyPrint("create", Irp);
    }
    if (LegacyEnds(Irp)) {
        return LegacyComplete(Irp, STATUS_ACCESS_DENIED);
    }
    return LegacyPassDown(Device, Irp);
}

/* One line for the trace: what happened, to which file, at which IRQL, in which thread. */
void
LegacyPrint(const char *What, PIRP Irp)
{
    PFILE_OBJECT File = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    UNICODE_STRING None = {0, 0, NULL};

    DbgPrint("legacy %s irql=%u thread=%u %wZ\n", What, KeGetCurrentIrql(), HandleToULong(PsGetCurrentThreadId()),
             File != NULL ? &File->FileName : &None);
}
