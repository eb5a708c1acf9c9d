/*
 * auxklib.c: AuxKlibQueryModuleInformation and its kin, which on Windows come with the driver from aux_klib.lib.
 *
 * Linked into drivers of users; left out of those that do not call it.
 */

#include <fltkernel.h>
#include <aux_klib.h>

#define MODULES 11 /* SystemModuleInformation */
#define EXPORTS 0  /* IMAGE_DIRECTORY_ENTRY_EXPORT */
#define TAG 'xuAl'

typedef struct _MODULE {
    PVOID Reserved[2];
    PVOID ImageBase;
    ULONG ImageSize;
    ULONG Flags;
    USHORT Order[3];
    USHORT FileNameOffset;
    UCHAR FullPathName[AUX_KLIB_MODULE_PATH_LEN];
} MODULE;

typedef struct _MODULE_LIST {
    ULONG Count;
    MODULE Modules[1];
} MODULE_LIST;

NTSYSAPI PVOID NTAPI RtlImageDirectoryEntryToData(PVOID Base, BOOLEAN MappedAsImage, USHORT Directory, PULONG Size);

static BOOLEAN Initialized;

NTSTATUS
AuxKlibInitialize(VOID)
{
    Initialized = TRUE;
    return STATUS_SUCCESS;
}

static VOID
Tell(const MODULE *Module, ULONG ElementSize, PUCHAR At)
{
    AUX_MODULE_EXTENDED_INFO *Extended = (AUX_MODULE_EXTENDED_INFO *)At;

    Extended->BasicInfo.ImageBase = Module->ImageBase;
    if (ElementSize == sizeof(AUX_MODULE_EXTENDED_INFO)) {
        Extended->ImageSize = Module->ImageSize;
        Extended->FileNameOffset = Module->FileNameOffset;
        RtlCopyMemory(Extended->FullPathName, Module->FullPathName, sizeof(Extended->FullPathName));
    }
}

NTSTATUS
AuxKlibQueryModuleInformation(PULONG BufferSize, ULONG ElementSize, PVOID QueryInfo)
{
    MODULE_LIST *List;
    NTSTATUS Status;
    ULONG Length = 0, Given = *BufferSize, I;

    if (!Initialized) {
        return STATUS_UNSUCCESSFUL;
    }
    if (ElementSize != sizeof(AUX_MODULE_BASIC_INFO) && ElementSize != sizeof(AUX_MODULE_EXTENDED_INFO)) {
        return STATUS_INVALID_PARAMETER_2;
    }
    ZwQuerySystemInformation(MODULES, NULL, 0, &Length);
    List = ExAllocatePoolWithTag(PagedPool, Length, TAG);
    if (List == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Status = ZwQuerySystemInformation(MODULES, List, Length, &Length);
    if (NT_SUCCESS(Status)) {
        *BufferSize = List->Count * ElementSize;
        if (QueryInfo != NULL && Given < *BufferSize) {
            Status = STATUS_BUFFER_TOO_SMALL;
        }
        for (I = 0; QueryInfo != NULL && NT_SUCCESS(Status) && I < List->Count; I++) {
            Tell(&List->Modules[I], ElementSize, (PUCHAR)QueryInfo + I * ElementSize);
        }
    }
    ExFreePoolWithTag(List, TAG);
    return Status;
}

struct _IMAGE_EXPORT_DIRECTORY *
AuxKlibGetImageExportDirectory(PVOID ImageBase)
{
    ULONG Size;

    return RtlImageDirectoryEntryToData(ImageBase, TRUE, EXPORTS, &Size);
}
