/*
 * labfs.h: a small file system driver.
 *
 * On the disk: sector 0 is the superblock, sectors 1 to 8 are a table of 32 entries, and each entry has a slot of half a
 * MiB for its data. There is one directory, the root. Files that are read or written through the cache are kept whole in
 * memory while they are open; non-cached I/O is sent to the disk, and comes back when the disk's DPC completes it.
 */

#ifndef LABFS_H
#define LABFS_H

#include "ntkernel.h"

#define LABFS_TAG 'sFbL'
#define LABFS_MAGIC 0x5346424CUL /* "LBFS" */

#define SECTOR 512UL
#define ENTRIES 32UL
#define ENTRY_SIZE 128UL
#define GONE (ENTRIES + 1)
#define TABLE_SECTOR 1UL
#define TABLE_SIZE (ENTRIES * ENTRY_SIZE)
#define FIRST_SLOT (TABLE_SECTOR + TABLE_SIZE / SECTOR)
#define SLOT_SIZE 0x80000UL
#define NAME_LENGTH 48UL

#define FSRTL_NODE_VCB ((CSHORT)0x4C01)
#define FSRTL_NODE_FCB ((CSHORT)0x4C02)

/* Sector 0. */
typedef struct _LABFS_SUPERBLOCK {
    ULONG Magic;
    ULONG Serial;
    WCHAR Label[16];
} LABFS_SUPERBLOCK;

/* One entry of the table; free if NameLength is 0. */
typedef struct _LABFS_ENTRY {
    LONGLONG CreationTime;
    LONGLONG LastWriteTime;
    ULONG Size;
    USHORT Attributes;
    USHORT NameLength; /* bytes */
    WCHAR Name[NAME_LENGTH];
    ULONG Unused[2];
} LABFS_ENTRY;

C_ASSERT(sizeof(LABFS_ENTRY) == ENTRY_SIZE);

typedef struct _FCB FCB;

/* The extension of a volume's device. */
typedef struct _VCB {
    PDEVICE_OBJECT Device;
    PDEVICE_OBJECT Disk;
    PVPB Vpb;
    ERESOURCE Lock; /* taken before an FCB's resources */
    LABFS_SUPERBLOCK Superblock;
    LABFS_ENTRY *Table;
    FCB *Files[ENTRIES + 1]; /* by entry; the last is the root directory */
} VCB;

/* A file that is open. */
struct _FCB {
    FSRTL_ADVANCED_FCB_HEADER Header; /* first: what FsContext points to */
    FAST_MUTEX HeaderMutex;
    ERESOURCE Resource;
    ERESOURCE PagingResource;
    SECTION_OBJECT_POINTERS Sections;
    SHARE_ACCESS Share;
    FILE_LOCK Locks;
    VCB *Vcb;
    ULONG Entry; /* ENTRIES: the root directory; GONE: deleted, and still open */
    ULONG Opens;
    ULONG Handles;
    BOOLEAN DeletePending;
    BOOLEAN Dirty;
    PUCHAR Content; /* the whole slot; NULL until it is read or written through the cache */
};

/* One open of a file: FsContext2. */
typedef struct _CCB {
    UNICODE_STRING Pattern;
    ULONG NextEntry;
    BOOLEAN Searching;
    BOOLEAN DeleteOnClose;
} CCB;

extern PDEVICE_OBJECT LabFsControlDevice;
extern FAST_IO_DISPATCH LabFsFastIo;

static __inline VCB *
VcbOf(PDEVICE_OBJECT Device)
{
    return Device->DeviceExtension;
}

static __inline LABFS_ENTRY *
EntryOf(FCB *Fcb)
{
    return &Fcb->Vcb->Table[Fcb->Entry];
}

/* A file that is deleted has only its FCB. */
static __inline BOOLEAN
IsGone(FCB *Fcb)
{
    return Fcb->Entry == GONE;
}

static __inline BOOLEAN
IsRoot(FCB *Fcb)
{
    return Fcb->Entry == ENTRIES;
}

/* dispatch.c */
NTSTATUS NTAPI LabFsLockDone(PVOID Context, PIRP Irp);
VOID NTAPI LabFsUnlocked(PVOID Context, PFILE_LOCK_INFO Info);
NTSTATUS LabFsComplete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information);
NTSTATUS LabFsPost(PDEVICE_OBJECT Device, PIRP Irp);
NTSTATUS LabFsLockUserBuffer(PIRP Irp, ULONG Length, LOCK_OPERATION Operation);
PVOID LabFsUserBuffer(PIRP Irp);

/* mount.c */
NTSTATUS LabFsFileSystemControl(PDEVICE_OBJECT Device, PIRP Irp);
NTSTATUS LabFsSectors(PDEVICE_OBJECT Disk, ULONG Major, ULONG Sector, PVOID Buffer, ULONG Length);
NTSTATUS LabFsWriteTable(VCB *Vcb);

/* create.c */
NTSTATUS LabFsCreate(PDEVICE_OBJECT Device, PIRP Irp);
NTSTATUS LabFsCleanup(PDEVICE_OBJECT Device, PIRP Irp);
NTSTATUS LabFsClose(PDEVICE_OBJECT Device, PIRP Irp);
ULONG LabFsFind(VCB *Vcb, PCUNICODE_STRING Name);

/* transfer.c */
NTSTATUS LabFsTransfer(PDEVICE_OBJECT Device, PIRP Irp);
NTSTATUS LabFsFlush(PDEVICE_OBJECT Device, PIRP Irp);
NTSTATUS LabFsFlushFile(FCB *Fcb);
NTSTATUS LabFsSetSize(FCB *Fcb, LONGLONG Size);

/* information.c */
NTSTATUS LabFsQueryInformation(PDEVICE_OBJECT Device, PIRP Irp);
NTSTATUS LabFsSetInformation(PDEVICE_OBJECT Device, PIRP Irp);
NTSTATUS LabFsQueryVolumeInformation(PDEVICE_OBJECT Device, PIRP Irp);

/* directory.c */
NTSTATUS LabFsDirectoryControl(PDEVICE_OBJECT Device, PIRP Irp);

#endif /* LABFS_H */
