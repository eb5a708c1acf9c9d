/*
 * memory.c: pool, pages and mappings.
 */

#include "hostile.h"

#define SPOIL(What, ...)                                                                                               \
    KIND(What)                                                                                                         \
    {                                                                                                                  \
        UNREFERENCED_PARAMETER(Data);                                                                                  \
        UNREFERENCED_PARAMETER(FltObjects);                                                                            \
        UNREFERENCED_PARAMETER(CompletionContext);                                                                     \
        __VA_ARGS__;                                                                                                   \
        return FLT_PREOP_SUCCESS_NO_CALLBACK;                                                                          \
    }

#define BLOCK(Size) volatile UCHAR *Block = ExAllocatePoolWithTag(NonPagedPoolNx, Size, TAG)
#define FREE(Place) ExFreePoolWithTag((PVOID)(Place), TAG)

SPOIL(overrun_one, BLOCK(60); Block[60] = 1; FREE(Block))
SPOIL(overrun_page, BLOCK(64); Block[64] = 1; FREE(Block))
SPOIL(underrun, BLOCK(64); Block[-1] = 1; FREE(Block))
SPOIL(freed_twice, BLOCK(64); FREE(Block); FREE(Block))
SPOIL(freed_inside, BLOCK(64); FREE(Block + 16))
SPOIL(freed_stack, UCHAR Room[16]; FREE(Room))
SPOIL(freed_null, FREE(NULL))
SPOIL(freed_image, static UCHAR Room[16]; FREE(Room))
SPOIL(freed_wild, FREE(WILD))
SPOIL(freed_user, FREE(0x10000))
SPOIL(read_after_free, BLOCK(64); FREE(Block); Block[0])
SPOIL(copied_after_free, UCHAR Room[16]; BLOCK(64); FREE(Block); RtlCopyMemory(Room, (PVOID)Block, 16))
SPOIL(compared_after_free, UNICODE_STRING A; UNICODE_STRING B = RTL_CONSTANT_STRING(L"x"); BLOCK(64); FREE(Block);
      A.Buffer = (PWCH)Block; A.Length = A.MaximumLength = 16; RtlEqualUnicodeString(&A, &B, TRUE))
SPOIL(copy_huge, BLOCK(64); RtlCopyMemory((PVOID)Block, (PVOID)Block, 0x7FFFFFFFFFFFFFFF))
SPOIL(zero_huge, BLOCK(64); RtlZeroMemory((PVOID)Block, 0xFFFFFFFF))
SPOIL(allocate_zero, ExAllocatePoolWithTag(NonPagedPoolNx, 0, TAG))
SPOIL(leak, ExAllocatePoolWithTag(PagedPool, 100, TAG))
SPOIL(paged_at_dispatch, KIRQL Irql; volatile UCHAR *Block = ExAllocatePoolWithTag(PagedPool, 64, TAG);
      KeRaiseIrql(DISPATCH_LEVEL, &Irql); Block[0] = 1; KeLowerIrql(Irql); FREE(Block))
SPOIL(paged_freed_at_dispatch, KIRQL Irql; PVOID Block = ExAllocatePoolWithTag(PagedPool, 64, TAG);
      KeRaiseIrql(DISPATCH_LEVEL, &Irql); FREE(Block); KeLowerIrql(Irql))
SPOIL(mdl_freed_twice, BLOCK(64); PMDL Mdl = IoAllocateMdl((PVOID)Block, 64, FALSE, FALSE, NULL); IoFreeMdl(Mdl);
      IoFreeMdl(Mdl); FREE(Block))
SPOIL(mdl_unlocked_unlocked, BLOCK(64); PMDL Mdl = IoAllocateMdl((PVOID)Block, 64, FALSE, FALSE, NULL);
      MmUnlockPages(Mdl); IoFreeMdl(Mdl); FREE(Block))
SPOIL(mdl_locked_freed, PMDL Mdl = IoAllocateMdl((PVOID)FltObjects, 64, FALSE, FALSE, NULL);
      MmProbeAndLockPages(Mdl, KernelMode, IoReadAccess); IoFreeMdl(Mdl))
SPOIL(mdl_wild_locked, PMDL Mdl = IoAllocateMdl(WILD, 64, FALSE, FALSE, NULL);
      MmProbeAndLockPages(Mdl, KernelMode, IoReadAccess); IoFreeMdl(Mdl))
SPOIL(mdl_not_built_mapped, BLOCK(64); PMDL Mdl = IoAllocateMdl((PVOID)Block, 64, FALSE, FALSE, NULL);
      MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority); IoFreeMdl(Mdl); FREE(Block))
SPOIL(mdl_wild_freed, IoFreeMdl(WILD))
SPOIL(mdl_pool_freed, BLOCK(256); RtlFillMemory((PVOID)Block, 256, 0xFF); IoFreeMdl((PMDL)Block))
SPOIL(user_read_unguarded, *(volatile ULONG *)0x70000000)
SPOIL(user_null_written, *(volatile ULONG *)8 = 1)
SPOIL(probe_unguarded, ProbeForWrite((PVOID)0xFFFF800000000000, 64, 1))
SPOIL(
    section_view_left, SIZE_T Size = 0; PVOID Base = NULL; HANDLE Section; LARGE_INTEGER Most = {.QuadPart = 4096};
    if (NT_SUCCESS(ZwCreateSection(&Section, SECTION_ALL_ACCESS, NULL, &Most, PAGE_READWRITE, SEC_COMMIT, NULL))) {
        ZwMapViewOfSection(Section, ZwCurrentProcess(), &Base, 0, 0, NULL, &Size, ViewUnmap, 0, PAGE_READWRITE);
    })
SPOIL(contiguous_freed_as_pool, PHYSICAL_ADDRESS Most = {.QuadPart = -1};
      PVOID Block = MmAllocateContiguousMemory(64, Most); FREE(Block))
SPOIL(contiguous_left, PHYSICAL_ADDRESS Most = {.QuadPart = -1}; MmAllocateContiguousMemory(64, Most))
SPOIL(pool_wrong_tag, PVOID Block = ExAllocatePoolWithTag(NonPagedPoolNx, 64, 'aaaa'); ExFreePoolWithTag(Block, 'bbbb'))
SPOIL(quota_huge, ExAllocatePoolWithQuotaTag(NonPagedPoolNx, (SIZE_T)-1, TAG))
SPOIL(stack_passed_to_work, static WORK_QUEUE_ITEM Item; volatile ULONG Room = 1;
      ExInitializeWorkItem(&Item, (PWORKER_THREAD_ROUTINE)(ULONG_PTR)&Room, NULL);
      ExQueueWorkItem(&Item, DelayedWorkQueue))
SPOIL(format_wild, DbgPrint("%s %wZ\n", WILD, WILD))
SPOIL(string_without_end, BLOCK(64); RtlFillMemory((PVOID)Block, 64, 'x'); strlen((PCSTR)Block); FREE(Block))
SPOIL(wide_without_end, BLOCK(64); RtlFillMemory((PVOID)Block, 64, 'x'); UNICODE_STRING Text;
      RtlInitUnicodeString(&Text, (PCWSTR)Block); FREE(Block))
