/*
 * objects.c: objects, IRPs, threads, handles.
 */

#include "hostile.h"

#define SPOIL(What, ...)                                                                                               \
    KIND(What)                                                                                                         \
    {                                                                                                                  \
        PFILE_OBJECT File = FltObjects->FileObject;                                                                    \
        UNREFERENCED_PARAMETER(Data);                                                                                  \
        UNREFERENCED_PARAMETER(File);                                                                                  \
        UNREFERENCED_PARAMETER(CompletionContext);                                                                     \
        __VA_ARGS__;                                                                                                   \
        return FLT_PREOP_SUCCESS_NO_CALLBACK;                                                                          \
    }

static LARGE_INTEGER Millisecond = {.QuadPart = -10000};

SPOIL(irp_destroyed_freed, PIRP Irp = IoAllocateIrp(4, FALSE); DESTROY(Irp); IoFreeIrp(Irp))
SPOIL(irp_zeroed_freed, PIRP Irp = IoAllocateIrp(4, FALSE); RtlZeroMemory(Irp, sizeof(*Irp)); IoFreeIrp(Irp))
SPOIL(irp_overrun_freed, PIRP Irp = IoAllocateIrp(1, FALSE); RtlFillMemory(Irp, IoSizeOfIrp(1) + 16, 0); IoFreeIrp(Irp))
SPOIL(irp_freed_twice, PIRP Irp = IoAllocateIrp(4, FALSE); IoFreeIrp(Irp); IoFreeIrp(Irp))
SPOIL(irp_wild_freed, IoFreeIrp(WILD))
SPOIL(irp_without_room, PIRP Irp = IoAllocateIrp(1, FALSE); IoSetNextIrpStackLocation(Irp);
      IoSetNextIrpStackLocation(Irp); IoCallDriver(IoGetRelatedDeviceObject(File), Irp))
SPOIL(irp_unprepared_sent, PIRP Irp = IoAllocateIrp(8, FALSE); IoCallDriver(IoGetRelatedDeviceObject(File), Irp))
SPOIL(irp_sent_to_null, PIRP Irp = IoAllocateIrp(8, FALSE); IoCallDriver(NULL, Irp))
SPOIL(irp_sent_to_wild, PIRP Irp = IoAllocateIrp(8, FALSE); IoCallDriver(WILD, Irp))
SPOIL(irp_unknown_major, PIRP Irp = IoAllocateIrp(8, FALSE); PIO_STACK_LOCATION Next = IoGetNextIrpStackLocation(Irp);
      Next->MajorFunction = 0xEE; Next->FileObject = File; IoCallDriver(IoGetRelatedDeviceObject(File), Irp))
SPOIL(irp_wild_buffer, PIRP Irp = IoAllocateIrp(8, FALSE); PIO_STACK_LOCATION Next = IoGetNextIrpStackLocation(Irp);
      Next->MajorFunction = IRP_MJ_READ; Next->FileObject = File; Next->Parameters.Read.Length = 512;
      Irp->UserBuffer = WILD; Irp->Flags = IRP_NOCACHE; IoCallDriver(IoGetBaseFileSystemDeviceObject(File), Irp))
SPOIL(irp_without_file, PIRP Irp = IoAllocateIrp(8, FALSE); PIO_STACK_LOCATION Next = IoGetNextIrpStackLocation(Irp);
      Next->MajorFunction = IRP_MJ_READ; Next->Parameters.Read.Length = 512;
      IoCallDriver(IoGetBaseFileSystemDeviceObject(File), Irp))
SPOIL(irp_file_wild, PIRP Irp = IoAllocateIrp(8, FALSE); PIO_STACK_LOCATION Next = IoGetNextIrpStackLocation(Irp);
      Next->MajorFunction = IRP_MJ_READ; Next->Parameters.Read.Length = 512; Next->FileObject = WILD;
      IoCallDriver(IoGetBaseFileSystemDeviceObject(File), Irp))
SPOIL(irp_completed_unsent, PIRP Irp = IoAllocateIrp(8, FALSE); IoCompleteRequest(Irp, IO_NO_INCREMENT))
SPOIL(irp_of_another_completed, PIRP Irp = IoGetTopLevelIrp(); IoCompleteRequest(Irp, IO_NO_INCREMENT))
SPOIL(object_over_dereferenced, ObDereferenceObject(File); ObDereferenceObject(File); ObDereferenceObject(File))
SPOIL(object_wild_dereferenced, ObDereferenceObject(WILD))
SPOIL(object_pool_dereferenced, ObDereferenceObject(ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG)))
SPOIL(object_reference_left, ObReferenceObject(File))
SPOIL(thread_reference_left, ObReferenceObject(PsGetCurrentThread()))
SPOIL(handle_wild_closed, ZwClose((HANDLE)0x12345678))
SPOIL(handle_left, HANDLE H; ObOpenObjectByPointer(PsGetCurrentProcess(), OBJ_KERNEL_HANDLE, NULL, PROCESS_ALL_ACCESS,
                                                   *PsProcessType, KernelMode, &H))

static VOID
Ends(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
}

static VOID
Stays(PVOID Context)
{
    KEVENT Never;

    UNREFERENCED_PARAMETER(Context);
    KeInitializeEvent(&Never, NotificationEvent, FALSE);
    KeWaitForSingleObject(&Never, Executive, KernelMode, FALSE, NULL);
}

static VOID
EndsRaised(PVOID Context)
{
    KIRQL Irql;

    UNREFERENCED_PARAMETER(Context);
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
}

static VOID
EndsInRegion(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    KeEnterCriticalRegion();
}

static VOID
Raises(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    ExRaiseStatus(STATUS_UNSUCCESSFUL);
}

static VOID
Loops(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    for (;;) {
        KeQuerySystemTimePrecise((PLARGE_INTEGER)&Millisecond + 0);
    }
}

static VOID
Start(PKSTART_ROUTINE Routine)
{
    HANDLE Thread;
    PVOID Object;

    PsCreateSystemThread(&Thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, Routine, NULL);
    ObReferenceObjectByHandle(Thread, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, &Object, NULL);
    ZwClose(Thread);
    KeDelayExecutionThread(KernelMode, FALSE, &Millisecond);
    ObDereferenceObject(Object);
}

SPOIL(thread_handle_left, HANDLE Thread; PsCreateSystemThread(&Thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, Ends, NULL))
SPOIL(thread_stays, Start(Stays))
SPOIL(thread_ends_raised, Start(EndsRaised))
SPOIL(thread_ends_in_region, Start(EndsInRegion))
SPOIL(thread_raises, Start(Raises))
SPOIL(thread_loops, Start(Loops))
SPOIL(thread_at_wild, Start((PKSTART_ROUTINE)WILD))
SPOIL(thread_at_null, Start(NULL))
SPOIL(thread_of_requester_ended, PsTerminateSystemThread(STATUS_SUCCESS))
SPOIL(exception_raised, ExRaiseStatus(STATUS_ACCESS_DENIED))
SPOIL(
    exception_in_filter,
    __try { *(volatile ULONG *)0 = 1; } __except (*(volatile ULONG *)8, EXCEPTION_EXECUTE_HANDLER){})
SPOIL(exception_in_finally, __try { *(volatile ULONG *)0 = 1; } __finally { *(volatile ULONG *)8 = 1; })
SPOIL(exception_continued, __try { *(volatile ULONG *)0 = 1; } __except (EXCEPTION_CONTINUE_EXECUTION){})
SPOIL(access_violation_status, ExRaiseAccessViolation())
SPOIL(bug_check, KeBugCheckEx(0xDEADBEEF, 1, 2, 3, 4))
SPOIL(fast_fail, __fastfail(3))
SPOIL(raise_to_high, KIRQL Irql; KeRaiseIrql(HIGH_LEVEL, &Irql); ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG);
      KeLowerIrql(Irql))
SPOIL(lower_below, KIRQL Irql; KeRaiseIrql(DISPATCH_LEVEL, &Irql); KeLowerIrql(HIGH_LEVEL))
SPOIL(wait_at_dispatch, KIRQL Irql; KeRaiseIrql(DISPATCH_LEVEL, &Irql);
      KeDelayExecutionThread(KernelMode, FALSE, &Millisecond); KeLowerIrql(Irql))
SPOIL(returns_raised, KIRQL Irql; KeRaiseIrql(APC_LEVEL, &Irql))
SPOIL(region_left, KeEnterCriticalRegion())
SPOIL(guarded_left, KeEnterGuardedRegion())
SPOIL(region_over_left, KeLeaveCriticalRegion())
SPOIL(file_system_region_left, FsRtlEnterFileSystem())
SPOIL(interrupts_left, __asm__ volatile("cli"))
SPOIL(wait_for_ever, KEVENT Never; KeInitializeEvent(&Never, NotificationEvent, FALSE);
      KeWaitForSingleObject(&Never, Executive, KernelMode, FALSE, NULL))
SPOIL(wait_for_wild, KeWaitForSingleObject(WILD, Executive, KernelMode, FALSE, NULL))
SPOIL(wait_for_many, PVOID Objects[200]; for (ULONG i = 0; i < 200; i++) Objects[i] = &File->Event;
      KeWaitForMultipleObjects(200, Objects, WaitAny, Executive, KernelMode, FALSE, &Millisecond, NULL))
SPOIL(delay_for_ever, LARGE_INTEGER Long = {.QuadPart = MINLONGLONG}; KeDelayExecutionThread(KernelMode, FALSE, &Long))
SPOIL(attach_left, KAPC_STATE State; KeStackAttachProcess(PsInitialSystemProcess, &State))
SPOIL(detach_without, KAPC_STATE State = {0}; KeUnstackDetachProcess(&State))
SPOIL(impersonation_left, PACCESS_TOKEN Token = PsReferencePrimaryToken(PsInitialSystemProcess);
      UNREFERENCED_PARAMETER(Token))
SPOIL(key_left, HANDLE Key; UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\System");
      OBJECT_ATTRIBUTES A; InitializeObjectAttributes(&A, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
      ZwOpenKey(&Key, KEY_READ, &A))
SPOIL(notify_left, PsSetLoadImageNotifyRoutine((PLOAD_IMAGE_NOTIFY_ROUTINE)Ends))
SPOIL(notify_wild, PsSetCreateProcessNotifyRoutine((PCREATE_PROCESS_NOTIFY_ROUTINE)WILD, FALSE))
SPOIL(device_left, PDEVICE_OBJECT Device; IoCreateDevice(Driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device))
SPOIL(device_deleted_twice, PDEVICE_OBJECT Device;
      IoCreateDevice(Driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device); IoDeleteDevice(Device);
      IoDeleteDevice(Device))
SPOIL(device_of_another_deleted, IoDeleteDevice(IoGetBaseFileSystemDeviceObject(File)))
SPOIL(device_detached_wild, IoDetachDevice(WILD))
SPOIL(volume_device_detached, IoDetachDevice(IoGetBaseFileSystemDeviceObject(File)))
SPOIL(symbolic_link_left, UNICODE_STRING A = RTL_CONSTANT_STRING(L"\\??\\HostileLink");
      UNICODE_STRING B = RTL_CONSTANT_STRING(L"\\Device\\X"); IoCreateSymbolicLink(&A, &B))
SPOIL(work_item_of_device_wild, IoFreeWorkItem(WILD))
SPOIL(cancel_wild, IoCancelIrp(WILD))
SPOIL(cancel_lock_left, KIRQL Irql; IoAcquireCancelSpinLock(&Irql))
SPOIL(system_thread_from_dispatch, KIRQL Irql; HANDLE T; KeRaiseIrql(DISPATCH_LEVEL, &Irql);
      PsCreateSystemThread(&T, 0, NULL, NULL, NULL, Ends, NULL); KeLowerIrql(Irql))
