/*
 * legacy.h: what the files of the legacy filter share.
 *
 * A legacy file-system filter driver knows no filter manager: its devices are attached to the device stacks of volumes,
 * IRPs reach its dispatch routines, fast I/O its table. To it, a frame of the filter manager is one more device.
 */

#ifndef FLTLAB_LEGACY_H
#define FLTLAB_LEGACY_H

#include "ntkernel.h"

#define LEGACY_TAG 'lgeL'

/* What is done, mostly to reads that are no paging I/O: the words of Parameters\Options. */
#define LEGACY_PEND_READS 0x1     /* "pend-reads": pended, and passed down by a system worker thread */
#define LEGACY_RESEND_READS 0x2   /* "resend-reads": when they come back, sent down once more */
#define LEGACY_COMPLETE_READS 0x4 /* "complete-reads": completed here, with STATUS_ACCESS_DENIED */
#define LEGACY_NO_FAST_IO 0x8     /* "no-fast-io": every fast I/O routine answers FALSE */
#define LEGACY_WATCH_READS 0x10   /* "watch-reads": passed down with a completion routine */
#define LEGACY_COMPLETE_ALL 0x20  /* "complete-all": whatever comes for some files is completed (complete.c) */

typedef struct _LEGACY_EXTENSION {
    PDEVICE_OBJECT Below; /* what our device is attached to */
    PDEVICE_OBJECT Disk;  /* the storage device; NULL where we are attached to a file system's control device */
} LEGACY_EXTENSION, *PLEGACY_EXTENSION;

extern PDRIVER_OBJECT LegacyDriver;
extern ULONG LegacyOptions;
extern FAST_IO_DISPATCH LegacyFastIo;

static __inline PDEVICE_OBJECT
LegacyBelow(PDEVICE_OBJECT Device)
{
    return ((PLEGACY_EXTENSION)Device->DeviceExtension)->Below;
}

/* legacy.c */
NTSTATUS LegacyPassDown(PDEVICE_OBJECT Device, PIRP Irp);
void LegacyPrint(const char *What, PIRP Irp);

/* attach.c */
DRIVER_FS_NOTIFICATION LegacyFileSystemChanged;
NTSTATUS LegacyFileSystemControl(PDEVICE_OBJECT Device, PIRP Irp);
void LegacyDetachAll(void);

/* complete.c */
BOOLEAN LegacyEnds(PIRP Irp);
NTSTATUS LegacyComplete(PIRP Irp, NTSTATUS Status);

/* read.c */
NTSTATUS LegacyRead(PDEVICE_OBJECT Device, PIRP Irp);

#endif /* FLTLAB_LEGACY_H */
