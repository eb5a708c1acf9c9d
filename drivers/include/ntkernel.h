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
/* Structures that have got flags since: kitnames.h has them as they are now. */
#define _FILE_RENAME_INFORMATION _FLTLAB_UNUSED_RENAME_INFORMATION
#define FILE_RENAME_INFORMATION FLTLAB_UNUSED_RENAME_INFORMATION
#define PFILE_RENAME_INFORMATION PFLTLAB_UNUSED_RENAME_INFORMATION
#define _FILE_LINK_INFORMATION _FLTLAB_UNUSED_LINK_INFORMATION
#define FILE_LINK_INFORMATION FLTLAB_UNUSED_LINK_INFORMATION
#define PFILE_LINK_INFORMATION PFLTLAB_UNUSED_LINK_INFORMATION
#include <ntifs.h>
#include <csq.h>

#ifndef __cplusplus /* mingw-w64's begins with extern; the compiler has it as a keyword, which goes with static */
#undef __forceinline
#endif
#undef _FILE_RENAME_INFORMATION
#undef FILE_RENAME_INFORMATION
#undef PFILE_RENAME_INFORMATION
#undef _FILE_LINK_INFORMATION
#undef FILE_LINK_INFORMATION
#undef PFILE_LINK_INFORMATION
#pragma clang diagnostic pop

#ifdef __cplusplus
extern "C" {
#endif

/* What came after mingw-w64's headers. */
typedef ULONG64 POOL_FLAGS;
#include "kitnames.h"
#include "kitexports.h"
#include "kitatomics.h"
#ifndef FLTLAB_NO_KIT_METADATA
#include "kitmetadata.h"
#endif

#ifdef __cplusplus
}
#endif

#endif /* NTKERNEL_H */
