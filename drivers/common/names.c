/*
 * names.c: the last component of the name each file object was opened by.
 *
 * FILE_OBJECT.FileName is documented as valid during IRP_MJ_CREATE only, and a postoperation callback at
 * DISPATCH_LEVEL could not read it anyway. So the name is remembered in preoperation of create, in a non-paged hash
 * table whose buckets are overwritten in turn when they are full; nothing here references a file object.
 */

#include "common.h"

#define NAME_BUCKETS 128
#define NAMES_IN_BUCKET 8

typedef struct _NAME_BUCKET {
    ULONG Next;
    PFILE_OBJECT FileObjects[NAMES_IN_BUCKET];
    LAB_NAME Names[NAMES_IN_BUCKET];
} NAME_BUCKET;

static KSPIN_LOCK NamesLock;
static NAME_BUCKET Buckets[NAME_BUCKETS];

VOID
LabInitializeNames(VOID)
{
    KeInitializeSpinLock(&NamesLock);
}

static NAME_BUCKET *
BucketOf(PFILE_OBJECT FileObject)
{
    return &Buckets[(((ULONG_PTR)FileObject >> 4) * 0x9E3779B97F4A7C15ULL) >> 57];
}

/* The index of a file object in its bucket, or NAMES_IN_BUCKET. The lock is held. */
static ULONG
IndexOf(const NAME_BUCKET *Bucket, PFILE_OBJECT FileObject)
{
    ULONG Index;

    for (Index = 0; Index < NAMES_IN_BUCKET; Index++) {
        if (Bucket->FileObjects[Index] == FileObject) {
            break;
        }
    }
    return Index;
}

static VOID
Remember(PFILE_OBJECT FileObject, const LAB_NAME *Name)
{
    NAME_BUCKET *Bucket = BucketOf(FileObject);
    ULONG Index;
    KIRQL Irql;

    KeAcquireSpinLock(&NamesLock, &Irql);
    Index = IndexOf(Bucket, FileObject);
    if (Index == NAMES_IN_BUCKET) {
        Index = Bucket->Next;
        Bucket->Next = (Bucket->Next + 1) % NAMES_IN_BUCKET;
        Bucket->FileObjects[Index] = FileObject;
    }
    Bucket->Names[Index] = *Name;
    KeReleaseSpinLock(&NamesLock, Irql);
}

static BOOLEAN
Recall(PFILE_OBJECT FileObject, LAB_NAME *Name)
{
    const NAME_BUCKET *Bucket = BucketOf(FileObject);
    ULONG Index;
    KIRQL Irql;

    KeAcquireSpinLock(&NamesLock, &Irql);
    Index = IndexOf(Bucket, FileObject);
    if (Index < NAMES_IN_BUCKET) {
        *Name = Bucket->Names[Index];
    }
    KeReleaseSpinLock(&NamesLock, Irql);
    return Index < NAMES_IN_BUCKET;
}

VOID
LabForgetName(PFILE_OBJECT FileObject)
{
    NAME_BUCKET *Bucket = BucketOf(FileObject);
    ULONG Index;
    KIRQL Irql;

    KeAcquireSpinLock(&NamesLock, &Irql);
    Index = IndexOf(Bucket, FileObject);
    if (Index < NAMES_IN_BUCKET) {
        Bucket->FileObjects[Index] = NULL;
    }
    KeReleaseSpinLock(&NamesLock, Irql);
}

static VOID
LastComponent(PCUNICODE_STRING Path, LAB_NAME *Name)
{
    USHORT Length = Path->Length / sizeof(WCHAR);
    USHORT Start = Length;

    if (Path->Buffer == NULL) {
        return;
    }
    while (Start > 0 && Path->Buffer[Start - 1] != L'\\') {
        Start--;
    }
    while (Start < Length && Name->Length < FLTLAB_NAME_LENGTH) {
        Name->Buffer[Name->Length++] = Path->Buffer[Start++];
    }
}

/*
 * The name of the operation's file object; empty if it is not known. A file object whose create this driver was not
 * shown still carries its name on every common file system: read it where paged memory may be touched, but do not
 * remember it. (The file object of a network query open lives on a stack: it must not be remembered in any case.)
 */
VOID
LabFindName(PFLT_CALLBACK_DATA Data, BOOLEAN Pre, LAB_NAME *Name)
{
    PFILE_OBJECT FileObject = Data->Iopb->TargetFileObject;

    Name->Length = 0;
    if (FileObject == NULL) {
        return;
    }
    if (Pre && Data->Iopb->MajorFunction == IRP_MJ_CREATE) {
        LastComponent(&FileObject->FileName, Name);
        Remember(FileObject, Name);
    } else if (!Recall(FileObject, Name) && KeGetCurrentIrql() <= APC_LEVEL) {
        LastComponent(&FileObject->FileName, Name);
    }
}
