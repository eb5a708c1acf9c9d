// imagewatch.cpp: image loads by PsSetLoadImageNotifyRoutineEx, correlated with the file that is mapped. C++ as far as
// it is a better C: namespaces, references, constexpr; nothing is allocated but by the kernel's own functions.

extern "C" {
#include <fltKernel.h>
}

namespace
{
PFLT_FILTER g_filter = nullptr;
volatile LONG g_system = 0;
volatile LONG g_user = 0;
volatile LONG g_sections = 0;

extern "C" void OnImage(PUNICODE_STRING fullImageName, HANDLE processId, PIMAGE_INFO imageInfo)
{
    PAGED_CODE();

    if (imageInfo->SystemModeImage) {
        InterlockedIncrement(&g_system);
        return;
    }
    InterlockedIncrement(&g_user);
    if (!imageInfo->ExtendedInfoPresent) {
        DbgPrint("imagewatch: %wZ in %llu, %llu bytes\n", fullImageName, (ULONG64)(ULONG_PTR)processId,
                 (ULONG64)imageInfo->ImageSize);
        return;
    }
    const auto &extended = *CONTAINING_RECORD(imageInfo, IMAGE_INFO_EX, ImageInfo);
    PFLT_FILE_NAME_INFORMATION name = nullptr;
    NTSTATUS status = FltGetFileNameInformationUnsafe(extended.FileObject, nullptr,
                                                      FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &name);

    DbgPrint("imagewatch: %wZ in %llu, %llu bytes, %s\n", fullImageName, (ULONG64)(ULONG_PTR)processId,
             (ULONG64)imageInfo->ImageSize, NT_SUCCESS(status) ? "on a filtered volume" : "elsewhere");
    if (NT_SUCCESS(status)) {
        FltReleaseFileNameInformation(name);
    }
}

FLT_PREOP_CALLBACK_STATUS FLTAPI PreAcquire(PFLT_CALLBACK_DATA data, PCFLT_RELATED_OBJECTS, PVOID *)
{
    const auto &parameters = data->Iopb->Parameters.AcquireForSectionSynchronization;

    if (parameters.SyncType == SyncTypeCreateSection &&
        (parameters.PageProtection & (PAGE_EXECUTE | PAGE_EXECUTE_READ | PAGE_EXECUTE_WRITECOPY)) != 0) {
        InterlockedIncrement(&g_sections);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

NTSTATUS FLTAPI QueryTeardown(PCFLT_RELATED_OBJECTS, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS)
{
    return STATUS_SUCCESS;
}

NTSTATUS FLTAPI Unload(FLT_FILTER_UNLOAD_FLAGS)
{
    PsRemoveLoadImageNotifyRoutine(OnImage);
    FltUnregisterFilter(g_filter);
    DbgPrint("imagewatch: %ld of programs, %ld of the kernel, %ld sections\n", g_user, g_system, g_sections);
    return STATUS_SUCCESS;
}

const FLT_OPERATION_REGISTRATION g_callbacks[] = {
    {IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION, 0, PreAcquire, nullptr},
    {IRP_MJ_OPERATION_END},
};

const FLT_REGISTRATION g_registration = {
    sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, nullptr, g_callbacks, Unload, nullptr, QueryTeardown,
};
} // namespace

extern "C" DRIVER_INITIALIZE DriverEntry;

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driverObject, PUNICODE_STRING)
{
    NTSTATUS status = FltRegisterFilter(driverObject, &g_registration, &g_filter);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = PsSetLoadImageNotifyRoutineEx(OnImage, PS_IMAGE_NOTIFY_CONFLICTING_ARCHITECTURE);
    if (NT_SUCCESS(status)) {
        status = FltStartFiltering(g_filter);
        if (NT_SUCCESS(status)) {
            return status;
        }
        PsRemoveLoadImageNotifyRoutine(OnImage);
    }
    FltUnregisterFilter(g_filter);
    return status;
}
