/*
 * ntkernel.h: mingw-w64's ntifs.h, made fit for clang with the MSVC triple.
 *
 * fltkernel.h includes it; the build also puts it in front of sources that start with ntifs.h, ntddk.h or wdm.h.
 */

#ifndef NTKERNEL_H
#define NTKERNEL_H

/* Source annotations that Microsoft's samples use and mingw-w64 lacks. */
#include <sal.h>
#include "salstubs.h"

/* __forceinline alone leaves an inline that is called inside __try undefined at link time. */
#undef FORCEINLINE
#define FORCEINLINE static __inline

/* wdm.h defines these two over the compiler's own, once static and once extern: its copies get another name. */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#include <intrin.h>
#define InterlockedBitTestAndSet FltLabUnusedBitTestAndSet
#define InterlockedBitTestAndReset FltLabUnusedBitTestAndReset
#include <ntifs.h>
#include <csq.h>
#pragma clang diagnostic pop

#ifdef __cplusplus
extern "C" {
#endif

/* Later than mingw-w64's headers. */
#ifndef POOL_FLAG_NON_PAGED
#define POOL_FLAG_UNINITIALIZED 0x0000000000000002ULL
#define POOL_FLAG_NON_PAGED 0x0000000000000040ULL
#define POOL_FLAG_PAGED 0x0000000000000100ULL
typedef ULONG64 POOL_FLAGS;
NTKERNELAPI PVOID NTAPI ExAllocatePool2(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag);
#endif

/* The function type to the pointer type that mingw-w64 has. */
typedef VOID NTAPI DRIVER_FS_NOTIFICATION(PDEVICE_OBJECT DeviceObject, BOOLEAN FsActive);

#ifdef __cplusplus
}
#endif

#endif /* NTKERNEL_H */
