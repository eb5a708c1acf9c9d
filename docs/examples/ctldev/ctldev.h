/* ctldev.h: what the control device and the filter ask of each other. */
#ifndef CTLDEV_H
#define CTLDEV_H

#include <fltKernel.h>
#include <wdmsec.h>
#include "ctlpublic.h"

/* device.c */
NTSTATUS CreateDevice(_In_ PDRIVER_OBJECT DriverObject);
VOID DeleteDevice(VOID);
VOID TellEvent(_In_ PCUNICODE_STRING Name);

/* filter.c */
NTSTATUS AddRule(_In_reads_bytes_(Length) PWCH Text, _In_ ULONG Length);
NTSTATUS RemoveRule(_In_reads_bytes_(Length) PWCH Text, _In_ ULONG Length);
NTSTATUS ListRules(_Out_writes_bytes_(Room) PUCHAR Buffer, _In_ ULONG Room, _Out_ PULONG_PTR Length);
VOID GetStatistics(_Out_ CTL_STATISTICS *Statistics);

#endif
