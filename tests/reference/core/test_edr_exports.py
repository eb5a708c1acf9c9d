"""What EDR and power-aware filters ask: silos, memory of processes, protection of mappings, power settings."""

import pytest

from harness.nt import BugCheck
from harness.reference.windows.verifier.bug_check_stop import BugCheckStop

# ruff: noqa: E501  (C declarations, one line each)

DRIVER = r"""
static ULONG Told, Value;
static PVOID Left;

static NTSTATUS NTAPI Power(LPCGUID Setting, PVOID Data, ULONG Length, PVOID Context)
{
    UNREFERENCED_PARAMETER(Setting);
    if (Length == sizeof(ULONG)) Value = *(PULONG)Data;
    Told += Context == &Told;
    return STATUS_SUCCESS;
}

EXPORT ULONG Settings(void)
{
    static const GUID Monitor = { 0x02731015, 0x4510, 0x4526, { 0x99, 0xE6, 0xE5, 0xA1, 0x7E, 0xBD, 0x1A, 0xEA } }, Unknown = { 1 };
    PVOID Handle = NULL, Second = NULL;

    CHECK(PoRegisterPowerSettingCallback(NULL, &Monitor, Power, &Told, &Handle) == STATUS_SUCCESS && Told == 1 && Value == 1);
    CHECK(PoRegisterPowerSettingCallback(NULL, &Unknown, Power, &Told, &Second) == STATUS_SUCCESS && Told == 1);
    CHECK(PoUnregisterPowerSettingCallback(Handle) == STATUS_SUCCESS && PoUnregisterPowerSettingCallback(Handle) == STATUS_INVALID_PARAMETER);
    CHECK(PoRegisterPowerSettingCallback(NULL, NULL, Power, NULL, &Handle) == STATUS_INVALID_PARAMETER);
    CHECK(PoUnregisterPowerSettingCallback(Second) == STATUS_SUCCESS);
    CHECK(PoRegisterPowerSettingCallback(NULL, &Monitor, Power, &Value, &Left) == STATUS_SUCCESS); /* a leak */
    return Checks;
}

EXPORT ULONG Shutdown(ULONG Wrong)
{
    static WORK_QUEUE_ITEM Item;

    ExInitializeWorkItem(&Item, Wrong ? (PWORKER_THREAD_ROUTINE)(ULONG_PTR)0x1234 : (PWORKER_THREAD_ROUTINE)(ULONG_PTR)Power, NULL);
    CHECK(PoQueueShutdownWorkItem(&Item) == STATUS_SUCCESS);
    return Checks;
}

EXPORT ULONG Silos(void)
{
    PESILO Before;

    CHECK(PsIsHostSilo(PsGetCurrentServerSilo()) && PsIsHostSilo(PsGetCurrentSilo()) && PsIsHostSilo(PsGetHostSilo()));
    CHECK(!PsIsCurrentThreadInServerSilo() && PsIsHostSilo(PsGetThreadServerSilo(PsGetCurrentThread())) && PsIsHostSilo(PsGetEffectiveServerSilo(PsGetHostSilo())));
    CHECK(!PsIsHostSilo((PESILO)PsGetCurrentProcess()) && PsGetSiloContainerId(PsGetHostSilo()) == NULL);
    Before = PsAttachSiloToCurrentThread(PsGetHostSilo());
    PsDetachSiloFromCurrentThread(Before);
    return Checks;
}

EXPORT VOID NoSilo(void) { PsAttachSiloToCurrentThread((PESILO)&Told); }

EXPORT ULONG Reserved(ULONG Wrong)
{
    PUCHAR Page = ExAllocatePoolWithTag(NonPagedPool, PAGE_SIZE, TAG), Mapped;
    PMDL Mdl = IoAllocateMdl(Page, PAGE_SIZE, FALSE, FALSE, NULL), Two = IoAllocateMdl(Page + 8, PAGE_SIZE, FALSE, FALSE, NULL);
    PVOID Base = MmAllocateMappingAddress(100, TAG);

    CHECK(Base != NULL && MmAllocateMappingAddress(0, TAG) == NULL && MmAllocateMappingAddress(100, 0) == NULL);
    MmProbeAndLockPages(Mdl, KernelMode, IoModifyAccess);
    Page[5] = 1;
    Mapped = MmMapLockedPagesWithReservedMapping(Base, TAG, Mdl, MmCached);
    CHECK(Mapped == Base && Mapped[5] == 1);
    Mapped[5] = 2;
    CHECK(Page[5] == 2);
    if (Wrong == 1) MmFreeMappingAddress(Base, TAG);
    MmUnmapReservedMapping(Base, TAG, Mdl);
    CHECK(!MmIsAddressValid(Base));
    if (Wrong == 2) MmUnmapReservedMapping(Base, TAG, Mdl);
    MmUnlockPages(Mdl);
    IoFreeMdl(Mdl);
    IoFreeMdl(Two);
    ExFreePoolWithTag(Page, TAG);
    if (Wrong == 3) MmFreeMappingAddress(Base, 'gnrW');
    if (Wrong != 4) MmFreeMappingAddress(Base, TAG);
    CHECK(DbgQueryDebugFilterState(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL) == TRUE);
    return Checks;
}

EXPORT ULONG Memory(void)
{
    PUCHAR Page = ExAllocatePoolWithTag(NonPagedPool, PAGE_SIZE, TAG), From = ExAllocatePoolWithTag(NonPagedPool, 64, TAG);
    SECTION_OBJECT_POINTERS Pointers = { 0 };
    PEPROCESS Process = PsGetCurrentProcess();
    ULONG Active = 2;
    SIZE_T Copied = 9;
    PUCHAR Mapped;
    PMDL Mdl;

    RtlFillMemory(From, 64, 7);
    CHECK(MmCopyVirtualMemory(Process, From, Process, Page, 64, KernelMode, &Copied) == STATUS_SUCCESS && Copied == 64 && Page[63] == 7);
    CHECK(MmCopyVirtualMemory(Process, (PVOID)0x1000, Process, Page, 64, KernelMode, &Copied) == STATUS_PARTIAL_COPY && Copied == 0);
    CHECK(MmCopyVirtualMemory(Process, From, Process, Page, 64, UserMode, &Copied) == STATUS_ACCESS_VIOLATION);
    CHECK(MmIsFileSectionActive(&Pointers, 3, &Active) == STATUS_SUCCESS && Active == 0 && MmIsFileSectionActive(&Pointers, 0, &Active) == STATUS_INVALID_PARAMETER);
    Mdl = IoAllocateMdl(Page, PAGE_SIZE, FALSE, FALSE, NULL);
    MmProbeAndLockPages(Mdl, KernelMode, IoModifyAccess);
    CHECK(MmProtectMdlSystemAddress(Mdl, PAGE_READONLY) == STATUS_NOT_MAPPED_VIEW);
    Mapped = MmMapLockedPagesSpecifyCache(Mdl, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
    CHECK(MmProtectMdlSystemAddress(Mdl, 0x333) == STATUS_INVALID_PAGE_PROTECTION && MmProtectMdlSystemAddress(Mdl, PAGE_READONLY) == STATUS_SUCCESS);
    CHECK(MmCopyVirtualMemory(Process, From, Process, Mapped, 4, KernelMode, &Copied) == STATUS_PARTIAL_COPY && Mapped[0] == 7);
    CHECK(MmProtectMdlSystemAddress(Mdl, PAGE_READWRITE) == STATUS_SUCCESS);
    Mapped[0] = 5;
    CHECK(Page[0] == 5 && ZwYieldExecution() == STATUS_SUCCESS);
    MmUnlockPages(Mdl);
    IoFreeMdl(Mdl);
    ExFreePoolWithTag(Page, TAG);
    ExFreePoolWithTag(From, TAG);
    return Checks;
}
"""


def test_the_value_of_a_power_setting_comes_with_the_registration_which_is_given_back(load):
    machine = load(DRIVER)

    machine.check("Settings")

    (left,) = machine.unload()
    assert left.startswith("unloaded with a power setting callback held and not given back")


def test_a_work_item_for_a_shutdown_is_taken_if_its_routine_is_code(load):
    machine = load(DRIVER)

    machine.check("Shutdown", 0)
    assert machine.findings == []
    machine.check("Shutdown", 1)

    (wrong,) = machine.findings
    assert wrong.startswith("PoQueueShutdownWorkItem was given an item whose WorkerRoutine is")


def test_everything_is_in_the_silo_of_the_host(load):
    machine = load(DRIVER)

    machine.check("Silos")
    assert machine.findings == []
    machine.call("NoSilo")

    (wrong,) = machine.findings
    assert wrong.startswith("PsAttachSiloToCurrentThread was given")


def test_memory_is_copied_between_processes_and_mappings_are_protected(load):
    machine = load(DRIVER)

    machine.check("Memory")

    assert machine.unload() == []


def test_a_reserved_mapping_takes_one_mdl_after_the_other_and_is_given_back(load):
    machine = load(DRIVER)

    machine.check("Reserved", 0)
    assert machine.findings == []
    machine.check("Reserved", 4)

    (left,) = machine.unload()
    assert left.startswith("unloaded with a mapping address held and not given back: MmFreeMappingAddress")


@pytest.mark.parametrize("wrong", [1, 2, 3])
def test_the_misuse_of_a_reserved_mapping_is_a_bug_check(load, wrong: int):
    machine = load(DRIVER)

    with pytest.raises(BugCheckStop) as stopped:
        machine.call("Reserved", wrong)

    assert stopped.value.code == BugCheck.SYSTEM_PTE_MISUSE
    assert stopped.value.driver == "test"
