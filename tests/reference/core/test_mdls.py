"""Memory descriptor lists: partial ones borrow the pages of another, and large buffers have one too."""

import pytest

DRIVER = """
EXPORT ULONG Partial(void)
{
    PUCHAR Buffer = ExAllocatePoolWithTag(NonPagedPoolNx, 0x3000, TAG);
    PMDL Whole = IoAllocateMdl(Buffer, 0x3000, FALSE, FALSE, NULL), Part;
    ULONG Value;

    MmProbeAndLockPages(Whole, KernelMode, IoWriteAccess);
    Buffer[0x1010] = 0x5A;
    Part = IoAllocateMdl(Buffer + 0x1000, 0x100, FALSE, FALSE, NULL);
    IoBuildPartialMdl(Whole, Part, Buffer + 0x1000, 0x100);
    Value = ((PUCHAR)MmGetSystemAddressForMdlSafe(Part, NormalPagePriority))[0x10];
    IoFreeMdl(Part);
    MmUnlockPages(Whole);
    IoFreeMdl(Whole);
    ExFreePoolWithTag(Buffer, TAG);
    return Value;
}

EXPORT ULONG Large(void)
{
    PMDL Mdl = IoAllocateMdl((PVOID)0x10000, 64 * 1024 * 1024, FALSE, FALSE, NULL);
    ULONG Bytes = MmGetMdlByteCount(Mdl);

    IoFreeMdl(Mdl);
    return Bytes;
}
"""


@pytest.fixture
def machine(load):
    return load(DRIVER)


def test_a_partial_mdl_shows_the_pages_of_the_whole_one_and_locks_none(machine):
    assert machine.call("Partial") == 0x5A
    assert machine.unload() == []


def test_a_large_buffer_has_an_mdl(machine):
    assert machine.call("Large") == 64 << 20
