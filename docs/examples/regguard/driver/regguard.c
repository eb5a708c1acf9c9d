/*
 * RegGuard - self protection.
 *
 * The keys below the driver's own service cannot be deleted or renamed, and their values not be set or deleted, except
 * for "Level", which a program may change while it is at most 3. A minifilter without operations: it is one because its
 * unload, altitude and installation are those of a minifilter.
 */

#include <fltKernel.h>

#define RG_TAG 'drgR'

typedef struct _REGGUARD_DATA {
    PFLT_FILTER Filter;
    UNICODE_STRING KeyPath;
    LARGE_INTEGER Cookie;
    volatile LONG Denied;
} REGGUARD_DATA;

REGGUARD_DATA g_Data;

BOOLEAN
RgIsOurs(_In_ PVOID Object)
{
    PCUNICODE_STRING name = NULL;
    BOOLEAN ours = FALSE;

    NTSTATUS status = CmCallbackGetKeyObjectIDEx(&g_Data.Cookie, Object, NULL, &name, 0);
    if (NT_SUCCESS(status)) {
        ours = RtlPrefixUnicodeString(&g_Data.KeyPath, name, TRUE) &&
               (name->Length == g_Data.KeyPath.Length ||
                name->Buffer[g_Data.KeyPath.Length / sizeof(WCHAR)] == OBJ_NAME_PATH_SEPARATOR);
        CmCallbackReleaseKeyObjectIDEx(name);
    }
    return ours;
}

NTSTATUS
RgDeny(PCSTR What)
{
    InterlockedIncrement(&g_Data.Denied);
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "RegGuard: %s denied to %p\n", What, PsGetCurrentProcessId());
    return STATUS_ACCESS_DENIED;
}

NTSTATUS
RgPreSetValue(_In_ PREG_SET_VALUE_KEY_INFORMATION Info)
{
    static const UNICODE_STRING level = RTL_CONSTANT_STRING(L"Level");
    ULONG value = MAXULONG;

    if (!RgIsOurs(Info->Object)) {
        return STATUS_SUCCESS;
    }
    if (Info->Type == REG_DWORD && Info->DataSize == sizeof(ULONG) &&
        RtlEqualUnicodeString(Info->ValueName, &level, TRUE)) {
        __try {
            value = *(UNALIGNED ULONG *)Info->Data; // may be the caller's memory
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            return GetExceptionCode();
        }
    }
    return value <= 3 ? STATUS_SUCCESS : RgDeny("SetValue");
}

_Function_class_(EX_CALLBACK_FUNCTION)
NTSTATUS
RgRegistryCallback(_In_ PVOID CallbackContext, _In_opt_ PVOID Argument1, _In_opt_ PVOID Argument2)
{
    REG_NOTIFY_CLASS notify = (REG_NOTIFY_CLASS)(ULONG_PTR)Argument1;

    UNREFERENCED_PARAMETER(CallbackContext);
    PAGED_CODE();

    if (ExGetPreviousMode() == KernelMode) {
        return STATUS_SUCCESS;
    }
    switch (notify) {
    case RegNtPreSetValueKey:
        return RgPreSetValue((PREG_SET_VALUE_KEY_INFORMATION)Argument2);
    case RegNtPreDeleteValueKey:
        return RgIsOurs(((PREG_DELETE_VALUE_KEY_INFORMATION)Argument2)->Object) ? RgDeny("DeleteValue")
                                                                              : STATUS_SUCCESS;
    case RegNtPreDeleteKey:
        return RgIsOurs(((PREG_DELETE_KEY_INFORMATION)Argument2)->Object) ? RgDeny("DeleteKey") : STATUS_SUCCESS;
    case RegNtPreRenameKey:
        return RgIsOurs(((PREG_RENAME_KEY_INFORMATION)Argument2)->Object) ? RgDeny("RenameKey") : STATUS_SUCCESS;
    default:
        return STATUS_SUCCESS;
    }
}

NTSTATUS
RgUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    PAGED_CODE();

    CmUnRegisterCallback(g_Data.Cookie);
    FltUnregisterFilter(g_Data.Filter);
    ExFreePoolWithTag(g_Data.KeyPath.Buffer, RG_TAG);
    return STATUS_SUCCESS;
}

NTSTATUS
RgInstanceSetup(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ FLT_INSTANCE_SETUP_FLAGS Flags,
                _In_ DEVICE_TYPE VolumeDeviceType, _In_ FLT_FILESYSTEM_TYPE VolumeFilesystemType)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    UNREFERENCED_PARAMETER(VolumeDeviceType);
    UNREFERENCED_PARAMETER(VolumeFilesystemType);
    return STATUS_FLT_DO_NOT_ATTACH;
}

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    static const FLT_OPERATION_REGISTRATION operations[] = {{IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, operations, RgUnload, RgInstanceSetup,
    };
    UNICODE_STRING altitude = RTL_CONSTANT_STRING(L"385041.3");
    NTSTATUS status;

    g_Data.KeyPath.Buffer = ExAllocatePool2(POOL_FLAG_PAGED, RegistryPath->Length, RG_TAG);
    if (g_Data.KeyPath.Buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    g_Data.KeyPath.MaximumLength = RegistryPath->Length;
    RtlCopyUnicodeString(&g_Data.KeyPath, RegistryPath);

    status = FltRegisterFilter(DriverObject, &registration, &g_Data.Filter);
    if (!NT_SUCCESS(status)) {
        goto fail;
    }
    status = CmRegisterCallbackEx(RgRegistryCallback, &altitude, DriverObject, NULL, &g_Data.Cookie, NULL);
    if (NT_SUCCESS(status)) {
        status = FltStartFiltering(g_Data.Filter);
        if (NT_SUCCESS(status)) {
            return status;
        }
        CmUnRegisterCallback(g_Data.Cookie);
    }
    FltUnregisterFilter(g_Data.Filter);
fail:
    ExFreePoolWithTag(g_Data.KeyPath.Buffer, RG_TAG);
    return status;
}
