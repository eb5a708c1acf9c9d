/* A filter that traces each create three ways, and prints the modules it is among when somebody asks. */

#include <fltKernel.h>
#include <aux_klib.h>
#include <TraceLoggingProvider.h>

#include "TracerEvents.h"
#include "trace.h"
#include "Tracer.tmh"

#define TAG 'ecrT'

TRACELOGGING_DECLARE_PROVIDER(TracerProvider);

static PFLT_FILTER Filter;
static const UNICODE_STRING Asking = RTL_CONSTANT_STRING(L"\\modules.txt");

static NTSTATUS
TellModules(VOID)
{
    PAUX_MODULE_EXTENDED_INFO Modules;
    ULONG Size = 0, I;
    NTSTATUS Status = AuxKlibQueryModuleInformation(&Size, sizeof(*Modules), NULL);

    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Modules = ExAllocatePoolWithTag(PagedPool, Size, TAG);
    if (Modules == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Status = AuxKlibQueryModuleInformation(&Size, sizeof(*Modules), Modules);
    for (I = 0; NT_SUCCESS(Status) && I < Size / sizeof(*Modules); I++) {
        DbgPrint("module %s\n", (PCSTR)Modules[I].FullPathName + Modules[I].FileNameOffset);
    }
    ExFreePoolWithTag(Modules, TAG);
    return Status;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Context);
    TraceEntry(TRACE_CREATE);
    TraceEvents(TRACE_LEVEL_INFORMATION, TRACE_CREATE, "%wZ is opened by %p", &Objects->FileObject->FileName,
                PsGetCurrentProcessId());
    TraceLoggingWrite(TracerProvider, "Create", TraceLoggingLevel(WINEVENT_LEVEL_VERBOSE),
                      TraceLoggingUnicodeString(&Objects->FileObject->FileName, "Name"),
                      TraceLoggingHexUInt32(Data->Iopb->Parameters.Create.Options, "Options"));
    if (RtlSuffixUnicodeString(&Asking, &Objects->FileObject->FileName, TRUE) && !NT_SUCCESS(TellModules())) {
        LogError(TRACE_CREATE, "the modules are not known");
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static VOID
StopTracing(PDRIVER_OBJECT DriverObject)
{
    EventWriteDriverStopped(NULL);
    EventUnregisterExample_Tracer();
    TraceLoggingUnregister(TracerProvider);
    WPP_CLEANUP(DriverObject);
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    TraceEntry(TRACE_DRIVER);
    FltUnregisterFilter(Filter);
    StopTracing(NULL);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreCreate}, {IRP_MJ_OPERATION_END}};
static const FLT_REGISTRATION Registration = {
    sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations, Unload};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    WPP_INIT_TRACING(DriverObject, RegistryPath);
    LogInfo("%!FUNC! of %wZ", RegistryPath);
    EventRegisterExample_Tracer();
    TraceLoggingRegister(TracerProvider);
    EventWriteDriverStarted(NULL);
    Status = AuxKlibInitialize();
    if (NT_SUCCESS(Status)) {
        Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    }
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Filter);
        }
    }
    if (!NT_SUCCESS(Status)) {
        LogError(TRACE_DRIVER, "no start: %!STATUS!", Status);
        StopTracing(DriverObject);
    }
    return Status;
}
