/*
 * aux_klib.h: the list of loaded modules, and the exports of one.
 *
 * On Windows these are in aux_klib.lib, which is linked into the driver; here they are in drivers/support/auxklib.c.
 */

#ifndef FLTLAB_AUX_KLIB_H
#define FLTLAB_AUX_KLIB_H

#define AUX_KLIB_MODULE_PATH_LEN 256

typedef struct _AUX_MODULE_BASIC_INFO {
    PVOID ImageBase;
} AUX_MODULE_BASIC_INFO, *PAUX_MODULE_BASIC_INFO;

typedef struct _AUX_MODULE_EXTENDED_INFO {
    AUX_MODULE_BASIC_INFO BasicInfo;
    ULONG ImageSize;
    USHORT FileNameOffset;
    UCHAR FullPathName[AUX_KLIB_MODULE_PATH_LEN];
} AUX_MODULE_EXTENDED_INFO, *PAUX_MODULE_EXTENDED_INFO;

#ifdef __cplusplus
extern "C" {
#endif

NTSTATUS
AuxKlibInitialize(VOID);

NTSTATUS
AuxKlibQueryModuleInformation(PULONG BufferSize, ULONG ElementSize, PVOID QueryInfo);

struct _IMAGE_EXPORT_DIRECTORY *AuxKlibGetImageExportDirectory(PVOID ImageBase);

#ifdef __cplusplus
}
#endif

#endif /* FLTLAB_AUX_KLIB_H */
