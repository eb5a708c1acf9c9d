/*
 * complete.c: what a legacy filter ends itself: every IRP on "every.bin" and on the directory "every", if that is wanted,
 * but for what makes and ends a file object and for paging I/O.
 */

#include "legacy.h"

static BOOLEAN
EndsWith(PCUNICODE_STRING Name, PCWSTR Text)
{
    UNICODE_STRING Wanted, End = *Name;

    RtlInitUnicodeString(&Wanted, Text);
    if (Name->Buffer == NULL || End.Length < Wanted.Length) {
        return FALSE;
    }
    End.Buffer += (End.Length - Wanted.Length) / sizeof(WCHAR);
    End.Length = Wanted.Length;
    return RtlEqualUnicodeString(&End, &Wanted, TRUE);
}

BOOLEAN
LegacyEnds(PIRP Irp)
{
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);
    PFILE_OBJECT File = Location->FileObject;

    if ((LegacyOptions & LEGACY_COMPLETE_ALL) == 0 || File == NULL || (Irp->Flags & IRP_PAGING_IO) != 0) {
        return FALSE;
    }
    switch (Location->MajorFunction) {
    case IRP_MJ_CREATE:
    case IRP_MJ_CLEANUP:
    case IRP_MJ_CLOSE:
        return FALSE;
    default:
        return EndsWith(&File->FileName, L"\\every.bin") || EndsWith(&File->FileName, L"\\every");
    }
}

NTSTATUS
LegacyComplete(PIRP Irp, NTSTATUS Status)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}
