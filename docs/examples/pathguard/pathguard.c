/*++

Module Name:

    pathguard.c

Abstract:

    Files below the paths that the registry lists cannot be deleted or renamed. The paths are those of the
    REG_MULTI_SZ value ProtectedPaths of the service's Parameters key, without a volume: \guarded\ .

Environment:

    Kernel mode

--*/

#include <fltKernel.h>
#include <dontuse.h>
#include <suppress.h>

#pragma prefast(disable:__WARNING_ENCODE_MEMBER_FUNCTION_POINTER, "Not valid for kernel mode drivers")

#define PG_TAG 'rGtP'
#define PG_MAX_PATHS 16

#define PGDBG_TRACE_LOAD     0x00000001
#define PGDBG_TRACE_DECISION 0x00000002

#define PG_DBG_PRINT(_dbgLevel, _string)                \
    (FlagOn(Globals.DebugFlags, (_dbgLevel)) ?          \
        DbgPrint _string :                              \
        ((int)0))

typedef struct _PG_GLOBALS {

    PFLT_FILTER Filter;
    ULONG DebugFlags;
    PKEY_VALUE_PARTIAL_INFORMATION PathsValue;
    ULONG PathCount;
    UNICODE_STRING Paths[PG_MAX_PATHS];

} PG_GLOBALS, *PPG_GLOBALS;

PG_GLOBALS Globals;

DRIVER_INITIALIZE DriverEntry;

NTSTATUS
DriverEntry (
    _In_ PDRIVER_OBJECT DriverObject,
    _In_ PUNICODE_STRING RegistryPath
    );

NTSTATUS
PgUnload (
    _In_ FLT_FILTER_UNLOAD_FLAGS Flags
    );

NTSTATUS
PgQueryTeardown (
    _In_ PCFLT_RELATED_OBJECTS FltObjects,
    _In_ FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags
    );

FLT_PREOP_CALLBACK_STATUS
PgPreSetInformation (
    _Inout_ PFLT_CALLBACK_DATA Data,
    _In_ PCFLT_RELATED_OBJECTS FltObjects,
    _Flt_CompletionContext_Outptr_ PVOID *CompletionContext
    );

FLT_PREOP_CALLBACK_STATUS
PgPreCreate (
    _Inout_ PFLT_CALLBACK_DATA Data,
    _In_ PCFLT_RELATED_OBJECTS FltObjects,
    _Flt_CompletionContext_Outptr_ PVOID *CompletionContext
    );

#ifdef ALLOC_PRAGMA
    #pragma alloc_text(INIT, DriverEntry)
    #pragma alloc_text(PAGE, PgUnload)
    #pragma alloc_text(PAGE, PgQueryTeardown)
    #pragma alloc_text(PAGE, PgPreCreate)
    #pragma alloc_text(PAGE, PgPreSetInformation)
#endif

CONST FLT_OPERATION_REGISTRATION Callbacks[] = {

    { IRP_MJ_CREATE,
      0,
      PgPreCreate,
      NULL },

    { IRP_MJ_SET_INFORMATION,
      FLTFL_OPERATION_REGISTRATION_SKIP_PAGING_IO,
      PgPreSetInformation,
      NULL },

    { IRP_MJ_OPERATION_END }
};

CONST FLT_REGISTRATION FilterRegistration = {

    sizeof( FLT_REGISTRATION ),         //  Size
    FLT_REGISTRATION_VERSION,           //  Version
    0,                                  //  Flags
    NULL,                               //  Context
    Callbacks,                          //  Operation callbacks
    PgUnload,                           //  FilterUnload
    NULL,                               //  InstanceSetup
    PgQueryTeardown,                    //  InstanceQueryTeardown
    NULL,                               //  InstanceTeardownStart
    NULL,                               //  InstanceTeardownComplete
    NULL,                               //  GenerateFileName
    NULL,                               //  GenerateDestinationFileName
    NULL                                //  NormalizeNameComponent
};

static
NTSTATUS
PgQueryValue (
    _In_ HANDLE Key,
    _In_ PCWSTR ValueName,
    _In_ ULONG Type,
    _Outptr_ PKEY_VALUE_PARTIAL_INFORMATION *Value
    )
{
    UNICODE_STRING name;
    ULONG length = 0;
    NTSTATUS status;

    *Value = NULL;
    RtlInitUnicodeString( &name, ValueName );

    status = ZwQueryValueKey( Key, &name, KeyValuePartialInformation, NULL, 0, &length );
    if (status != STATUS_BUFFER_TOO_SMALL && status != STATUS_BUFFER_OVERFLOW) {

        return NT_SUCCESS( status ) ? STATUS_INVALID_PARAMETER : status;
    }

    *Value = (PKEY_VALUE_PARTIAL_INFORMATION) ExAllocatePoolZero( NonPagedPool, length, PG_TAG );
    if (*Value == NULL) {

        return STATUS_INSUFFICIENT_RESOURCES;
    }

    status = ZwQueryValueKey( Key, &name, KeyValuePartialInformation, *Value, length, &length );
    if (NT_SUCCESS( status ) && (*Value)->Type != Type) {

        status = STATUS_OBJECT_TYPE_MISMATCH;
    }

    if (!NT_SUCCESS( status )) {

        ExFreePoolWithTag( *Value, PG_TAG );
        *Value = NULL;
    }

    return status;
}

static
VOID
PgReadPaths (
    VOID
    )
{
    PCWSTR string = (PCWSTR) Globals.PathsValue->Data;
    PCWSTR end = (PCWSTR) Add2Ptr( string, Globals.PathsValue->DataLength );

    while (string < end && *string != UNICODE_NULL && Globals.PathCount < PG_MAX_PATHS) {

        RtlInitUnicodeString( &Globals.Paths[Globals.PathCount], string );
        string = (PCWSTR) Add2Ptr( string, Globals.Paths[Globals.PathCount].MaximumLength );
        PG_DBG_PRINT( PGDBG_TRACE_LOAD, ("[PathGuard] protects %wZ\n", &Globals.Paths[Globals.PathCount]) );
        Globals.PathCount++;
    }
}

static
NTSTATUS
PgReadParameters (
    _In_ PUNICODE_STRING RegistryPath
    )
{
    DECLARE_CONST_UNICODE_STRING( parameters, L"Parameters" );
    OBJECT_ATTRIBUTES attributes;
    PKEY_VALUE_PARTIAL_INFORMATION value;
    HANDLE service = NULL;
    HANDLE key = NULL;
    NTSTATUS status;

    InitializeObjectAttributes( &attributes, RegistryPath, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL );
    status = ZwOpenKey( &service, KEY_READ, &attributes );
    if (!NT_SUCCESS( status )) {

        goto Cleanup;
    }

    InitializeObjectAttributes( &attributes, (PUNICODE_STRING) &parameters, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE,
                                service, NULL );
    status = ZwOpenKey( &key, KEY_READ, &attributes );
    if (!NT_SUCCESS( status )) {

        goto Cleanup;
    }

    if (NT_SUCCESS( PgQueryValue( key, L"DebugFlags", REG_DWORD, &value ) )) {

        Globals.DebugFlags = *(PULONG) value->Data;
        ExFreePoolWithTag( value, PG_TAG );
    }

    status = PgQueryValue( key, L"ProtectedPaths", REG_MULTI_SZ, &Globals.PathsValue );
    if (NT_SUCCESS( status )) {

        PgReadPaths();
    }

Cleanup:

    if (key != NULL) {

        ZwClose( key );
    }

    if (service != NULL) {

        ZwClose( service );
    }

    return status;
}

static
BOOLEAN
PgIsProtected (
    _In_ PFLT_CALLBACK_DATA Data,
    _In_ FLT_FILE_NAME_OPTIONS Options
    )
{
    PFLT_FILE_NAME_INFORMATION nameInfo;
    BOOLEAN protect = FALSE;
    UNICODE_STRING inVolume;
    ULONG index;

    if (!NT_SUCCESS( FltGetFileNameInformation( Data, Options, &nameInfo ) )) {

        return FALSE;
    }

    if (NT_SUCCESS( FltParseFileNameInformation( nameInfo ) )) {

        inVolume.Buffer = (PWCH) Add2Ptr( nameInfo->Name.Buffer, nameInfo->Volume.Length );
        inVolume.Length = nameInfo->Name.Length - nameInfo->Volume.Length;
        inVolume.MaximumLength = inVolume.Length;

        for (index = 0; index < Globals.PathCount && !protect; index++) {

            protect = RtlPrefixUnicodeString( &Globals.Paths[index], &inVolume, TRUE );
        }

        if (protect) {

            PG_DBG_PRINT( PGDBG_TRACE_DECISION, ("[PathGuard] keeps %wZ\n", &inVolume) );
        }
    }

    FltReleaseFileNameInformation( nameInfo );
    return protect;
}

FLT_PREOP_CALLBACK_STATUS
PgPreCreate (
    _Inout_ PFLT_CALLBACK_DATA Data,
    _In_ PCFLT_RELATED_OBJECTS FltObjects,
    _Flt_CompletionContext_Outptr_ PVOID *CompletionContext
    )
{
    UNREFERENCED_PARAMETER( FltObjects );
    UNREFERENCED_PARAMETER( CompletionContext );

    PAGED_CODE();

    if (FlagOn( Data->Iopb->Parameters.Create.Options, FILE_DELETE_ON_CLOSE ) &&
        PgIsProtected( Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT )) {

        Data->IoStatus.Status = STATUS_ACCESS_DENIED;
        Data->IoStatus.Information = 0;
        return FLT_PREOP_COMPLETE;
    }

    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

FLT_PREOP_CALLBACK_STATUS
PgPreSetInformation (
    _Inout_ PFLT_CALLBACK_DATA Data,
    _In_ PCFLT_RELATED_OBJECTS FltObjects,
    _Flt_CompletionContext_Outptr_ PVOID *CompletionContext
    )
{
    UNREFERENCED_PARAMETER( FltObjects );
    UNREFERENCED_PARAMETER( CompletionContext );

    PAGED_CODE();

    switch (Data->Iopb->Parameters.SetFileInformation.FileInformationClass) {

        case FileDispositionInformation:
        case FileDispositionInformationEx:
        case FileRenameInformation:
        case FileRenameInformationEx:
        case FileRenameInformationBypassAccessCheck:
        case FileShortNameInformation:

            break;

        default:

            return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }

    if (!PgIsProtected( Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT )) {

        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }

    Data->IoStatus.Status = STATUS_ACCESS_DENIED;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

NTSTATUS
PgQueryTeardown (
    _In_ PCFLT_RELATED_OBJECTS FltObjects,
    _In_ FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags
    )
{
    UNREFERENCED_PARAMETER( FltObjects );
    UNREFERENCED_PARAMETER( Flags );

    PAGED_CODE();

    return STATUS_SUCCESS;
}

NTSTATUS
PgUnload (
    _In_ FLT_FILTER_UNLOAD_FLAGS Flags
    )
{
    UNREFERENCED_PARAMETER( Flags );

    PAGED_CODE();

    FltUnregisterFilter( Globals.Filter );
    ExFreePoolWithTag( Globals.PathsValue, PG_TAG );
    return STATUS_SUCCESS;
}

NTSTATUS
DriverEntry (
    _In_ PDRIVER_OBJECT DriverObject,
    _In_ PUNICODE_STRING RegistryPath
    )
{
    NTSTATUS status;

    ExInitializeDriverRuntime( DrvRtPoolNxOptIn );

    RtlZeroMemory( &Globals, sizeof( Globals ) );

    status = PgReadParameters( RegistryPath );
    if (!NT_SUCCESS( status )) {

        return status;
    }

    status = FltRegisterFilter( DriverObject, &FilterRegistration, &Globals.Filter );
    if (NT_SUCCESS( status )) {

        status = FltStartFiltering( Globals.Filter );
        if (!NT_SUCCESS( status )) {

            FltUnregisterFilter( Globals.Filter );
        }
    }

    if (!NT_SUCCESS( status )) {

        ExFreePoolWithTag( Globals.PathsValue, PG_TAG );
    }

    return status;
}
