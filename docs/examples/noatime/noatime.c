/*
 * noatime.c: a read leaves no trace. Handles that are opened to read are told, once they are open, to leave the time of
 * the last access alone (-1), and programs that set a time of last access themselves set all but that.
 */
#include <fltKernel.h>

static PFLT_FILTER g_filter;

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
na_post_create(PFLT_CALLBACK_DATA data, PCFLT_RELATED_OBJECTS objs, PVOID ctx, FLT_POST_OPERATION_FLAGS flags)
{
    FILE_BASIC_INFORMATION basic = {0};

    (void)ctx;
    if ((flags & FLTFL_POST_OPERATION_DRAINING) || data->IoStatus.Status != STATUS_SUCCESS) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (!objs->FileObject->ReadAccess) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }

    basic.LastAccessTime.QuadPart = -1; // this handle's I/O does not change it
    FltSetInformationFile(objs->Instance, objs->FileObject, &basic, sizeof(basic), FileBasicInformation);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
na_pre_set_information(PFLT_CALLBACK_DATA data, PCFLT_RELATED_OBJECTS objs, PVOID *ctx)
{
    PFILE_BASIC_INFORMATION basic = data->Iopb->Parameters.SetFileInformation.InfoBuffer;

    (void)objs;
    (void)ctx;
    if (data->Iopb->Parameters.SetFileInformation.FileInformationClass != FileBasicInformation ||
        data->Iopb->Parameters.SetFileInformation.Length < sizeof(*basic)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (basic->LastAccessTime.QuadPart > 0) {
        basic->LastAccessTime.QuadPart = 0; // the system's buffer: changing it needs no dirty mark
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
na_unload(FLT_FILTER_UNLOAD_FLAGS flags)
{
    (void)flags;
    FltUnregisterFilter(g_filter);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION g_ops[] = {
    {IRP_MJ_CREATE, 0, NULL, na_post_create},
    {IRP_MJ_SET_INFORMATION, 0, na_pre_set_information, NULL},
    {IRP_MJ_OPERATION_END},
};

static const FLT_REGISTRATION g_reg = {
    sizeof(g_reg), FLT_REGISTRATION_VERSION, 0, NULL, g_ops, na_unload,
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    NTSTATUS st;

    (void)path;
    if (!NT_SUCCESS(st = FltRegisterFilter(driver, &g_reg, &g_filter))) {
        return st;
    }
    if (!NT_SUCCESS(st = FltStartFiltering(g_filter))) {
        FltUnregisterFilter(g_filter);
    }
    return st;
}
