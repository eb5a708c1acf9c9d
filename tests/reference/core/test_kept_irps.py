"""IRPs that a driver keeps: in a cancel-safe queue that may refuse them, and in a notify list until something changes."""

from pathlib import Path

# ruff: noqa: E501  (C declarations, one line each)

DRIVER = r"""
static PDEVICE_OBJECT Device;
static LIST_ENTRY Queue, Watches;
static KSPIN_LOCK Lock;
static IO_CSQ Csq;
static PNOTIFY_SYNC Sync;
static LONG Completed, Refuse, Asked;
static NTSTATUS Last;
static CHAR Owner;
static STRING Folder;
static BOOLEAN Filtered;
static UCHAR Buffer[128];

static NTSTATUS NTAPI Insert(PIO_CSQ Q, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Q);
    if (Refuse) return STATUS_INSUFFICIENT_RESOURCES;
    CHECK(Context == &Refuse);
    InsertTailList(&Queue, &Irp->Tail.Overlay.ListEntry);
    return STATUS_WAIT_1;
}
static VOID NTAPI Remove(PIO_CSQ Q, PIRP Irp) { UNREFERENCED_PARAMETER(Q); RemoveEntryList(&Irp->Tail.Overlay.ListEntry); }
static PIRP NTAPI Peek(PIO_CSQ Q, PIRP Irp, PVOID Context)
{
    PLIST_ENTRY Next = Irp == NULL ? Queue.Flink : Irp->Tail.Overlay.ListEntry.Flink;
    UNREFERENCED_PARAMETER(Q); UNREFERENCED_PARAMETER(Context);
    return Next == &Queue ? NULL : CONTAINING_RECORD(Next, IRP, Tail.Overlay.ListEntry);
}
static VOID NTAPI Acquire(PIO_CSQ Q, PKIRQL Irql) { UNREFERENCED_PARAMETER(Q); KeAcquireSpinLock(&Lock, Irql); }
static VOID NTAPI Release(PIO_CSQ Q, KIRQL Irql) { UNREFERENCED_PARAMETER(Q); KeReleaseSpinLock(&Lock, Irql); }
static VOID NTAPI Cancelled(PIO_CSQ Q, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Q);
    Irp->IoStatus.Status = STATUS_CANCELLED;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
}

static BOOLEAN NTAPI Admit(PVOID FsContext, PVOID FilterContext)
{
    Asked++;
    CHECK(FsContext == &Owner);
    return FilterContext != NULL;
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT On, PIRP Irp)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG What = FILE_NOTIFY_CHANGE_FILE_NAME;
    GUID Activity;
    HANDLE Attribution;
    ULONG Session = 99;

    UNREFERENCED_PARAMETER(On);
    CHECK(IoGetRequestorSessionId(Irp, &Session) == STATUS_SUCCESS && Session == 0);
    CHECK(IoGetActivityIdIrp(Irp, &Activity) == STATUS_NOT_FOUND);
    CHECK(IoGetIoAttributionHandle(Irp, (PVOID *)&Attribution) == STATUS_NOT_FOUND);
    if (Stack->MajorFunction == IRP_MJ_READ) {
        NTSTATUS Status = IoCsqInsertIrpEx(&Csq, Irp, NULL, &Refuse);
        if (NT_SUCCESS(Status)) {
            CHECK(Status == STATUS_WAIT_1);
            return STATUS_PENDING;
        }
        Irp->IoStatus.Status = Status;
        IoCompleteRequest(Irp, IO_NO_INCREMENT);
        return STATUS_PENDING; /* it has been marked */
    }
    if (Filtered) {
        FsRtlNotifyFilterChangeDirectory(Sync, &Watches, &Owner, &Folder, FALSE, FALSE, What, Irp, NULL, NULL, Admit);
    } else {
        FsRtlNotifyFullChangeDirectory(Sync, &Watches, &Owner, &Folder, TRUE, FALSE, What, Irp, NULL, NULL);
    }
    return STATUS_PENDING;
}

static NTSTATUS NTAPI Done(PDEVICE_OBJECT On, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(On); UNREFERENCED_PARAMETER(Context);
    Last = Irp->IoStatus.Status;
    InterlockedIncrement(&Completed);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static PIRP Send(UCHAR Major)
{
    PIRP Irp = IoAllocateIrp(1, FALSE);
    PIO_STACK_LOCATION Stack = IoGetNextIrpStackLocation(Irp);

    Stack->MajorFunction = Major;
    Irp->UserBuffer = Buffer;
    Irp->Tail.Overlay.Thread = PsGetCurrentThread();
    if (Major == IRP_MJ_DIRECTORY_CONTROL) {
        Stack->MinorFunction = IRP_MN_NOTIFY_CHANGE_DIRECTORY;
        Stack->Parameters.NotifyDirectory.Length = sizeof(Buffer);
        Stack->Parameters.NotifyDirectory.CompletionFilter = FILE_NOTIFY_CHANGE_FILE_NAME;
    }
    IoSetCompletionRoutine(Irp, Done, NULL, TRUE, TRUE, TRUE);
    CHECK(IoCallDriver(Device, Irp) == STATUS_PENDING);
    return Irp;
}

static void Rest(void)
{
    LARGE_INTEGER Tick = { .QuadPart = -100000 };
    KeDelayExecutionThread(KernelMode, FALSE, &Tick);
}

EXPORT ULONG Queues(void)
{
    PIRP Irp;

    InitializeListHead(&Queue);
    KeInitializeSpinLock(&Lock);
    CHECK(IoCsqInitializeEx(&Csq, Insert, Remove, Peek, Acquire, Release, Cancelled) == STATUS_SUCCESS);
    Refuse = 1;
    Irp = Send(IRP_MJ_READ);
    CHECK(Completed == 1 && Last == STATUS_INSUFFICIENT_RESOURCES && IoCsqRemoveNextIrp(&Csq, NULL) == NULL);
    IoFreeIrp(Irp);
    Refuse = 0;
    Irp = Send(IRP_MJ_READ);
    CHECK(Completed == 1 && IoCsqRemoveNextIrp(&Csq, NULL) == Irp);
    Cancelled(&Csq, Irp);
    CHECK(Completed == 2 && Last == STATUS_CANCELLED);
    IoFreeIrp(Irp);
    Irp = Send(IRP_MJ_READ);
    CHECK(IoCancelIrp(Irp) && Completed == 3 && Last == STATUS_CANCELLED);
    IoFreeIrp(Irp);
    return Checks;
}

EXPORT ULONG Notifications(void)
{
    STRING Below, Elsewhere;
    FILE_NOTIFY_INFORMATION *Told = (FILE_NOTIFY_INFORMATION *)Buffer;
    PIRP Irp;

    Completed = 0;
    FsRtlNotifyInitializeSync(&Sync);
    InitializeListHead(&Watches);
    RtlInitUnicodeString((PUNICODE_STRING)&Folder, L"\\dir");
    RtlInitUnicodeString((PUNICODE_STRING)&Below, L"\\dir\\sub\\a.txt");
    RtlInitUnicodeString((PUNICODE_STRING)&Elsewhere, L"\\other\\a.txt");
    Irp = Send(IRP_MJ_DIRECTORY_CONTROL);
    FsRtlNotifyFullReportChange(Sync, &Watches, &Elsewhere, 14, NULL, NULL, FILE_NOTIFY_CHANGE_FILE_NAME, FILE_ACTION_ADDED, NULL);
    FsRtlNotifyFullReportChange(Sync, &Watches, &Below, 18, NULL, NULL, FILE_NOTIFY_CHANGE_SIZE, FILE_ACTION_MODIFIED, NULL);
    Rest();
    CHECK(Completed == 0);
    FsRtlNotifyFullReportChange(Sync, &Watches, &Below, 18, NULL, NULL, FILE_NOTIFY_CHANGE_FILE_NAME, FILE_ACTION_ADDED, NULL);
    Rest();
    CHECK(Completed == 1 && Last == STATUS_SUCCESS && Told->Action == FILE_ACTION_ADDED);
    CHECK(Told->FileNameLength == 18 && RtlCompareMemory(Told->FileName, L"sub\\a.txt", 18) == 18);
    IoFreeIrp(Irp);
    Irp = Send(IRP_MJ_DIRECTORY_CONTROL);
    CHECK(IoCancelIrp(Irp));
    Rest();
    CHECK(Completed == 2 && Last == STATUS_CANCELLED);
    IoFreeIrp(Irp);
    Irp = Send(IRP_MJ_DIRECTORY_CONTROL);
    FsRtlNotifyFullChangeDirectory(Sync, &Watches, &Owner, &Folder, TRUE, FALSE, 0, NULL, NULL, NULL);
    Rest();
    CHECK(Completed == 3 && Last == STATUS_DELETE_PENDING);
    IoFreeIrp(Irp);
    FsRtlNotifyCleanup(Sync, &Watches, &Owner);
    return Checks;
}

EXPORT ULONG FilteredNotifications(void)
{
    STRING Here;
    PIRP Irp;

    Completed = 0;
    Filtered = TRUE;
    RtlInitUnicodeString((PUNICODE_STRING)&Here, L"\\dir\\a.txt");
    Irp = Send(IRP_MJ_DIRECTORY_CONTROL);
    FsRtlNotifyFilterReportChange(Sync, &Watches, &Here, 10, NULL, NULL, FILE_NOTIFY_CHANGE_FILE_NAME, FILE_ACTION_ADDED, NULL, NULL);
    Rest();
    CHECK(Completed == 0 && Asked == 1);
    FsRtlNotifyFilterReportChange(Sync, &Watches, &Here, 10, NULL, NULL, FILE_NOTIFY_CHANGE_FILE_NAME, FILE_ACTION_ADDED, NULL, Buffer);
    Rest();
    CHECK(Completed == 1 && Last == STATUS_SUCCESS && Asked == 2);
    IoFreeIrp(Irp);
    Irp = Send(IRP_MJ_DIRECTORY_CONTROL);
    FsRtlNotifyCleanup(Sync, &Watches, &Owner);
    Rest();
    CHECK(Completed == 2 && Last == STATUS_NOTIFY_CLEANUP);
    IoFreeIrp(Irp);
    FsRtlNotifyUninitializeSync(&Sync);
    return Checks;
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver) { UNREFERENCED_PARAMETER(Driver); IoDeleteDevice(Device); }

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    Driver->MajorFunction[IRP_MJ_READ] = Driver->MajorFunction[IRP_MJ_DIRECTORY_CONTROL] = Dispatch;
    return IoCreateDevice(Driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
}
"""


def test_an_irp_waits_in_a_queue_or_a_notify_list_until_it_is_refused_cancelled_told_or_cleaned_up(
    load, tmp_path: Path
):
    machine = load(DRIVER, entry=False, volumes={"V:": tmp_path})

    for function in ("Queues", "Notifications", "FilteredNotifications"):
        machine.check(function)
    assert machine.unload() == []
