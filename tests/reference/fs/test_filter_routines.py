"""What filters ask of the cache manager, the memory manager and FsRtl about a file of ours."""

from pathlib import Path

import pytest

from harness.nt import NtStatus
from harness.reference.windows.io.create import OpenParameters, make_handle, open_file
from harness.reference.windows.io.object_names import ObjectName
from tests.reference.core.conftest import compile_driver, load  # noqa: F401 - fixtures

DRIVER = r"""
static LARGE_INTEGER Number(ULONG64 Value)
{
    LARGE_INTEGER Large;
    Large.QuadPart = (LONGLONG)Value;
    return Large;
}

EXPORT ULONG Write(HANDLE Handle, ULONG Length, ULONG Fill)
{
    static UCHAR Bytes[8192];
    IO_STATUS_BLOCK Block;
    LARGE_INTEGER Zero = Number(0);
    memset(Bytes, (int)Fill, Length);
    return (ULONG)ZwWriteFile(Handle, NULL, NULL, NULL, &Block, Bytes, Length, &Zero, NULL);
}

EXPORT ULONG Dirty(PFILE_OBJECT File)
{
    ULONG Pages = 0;
    return CcIsThereDirtyDataEx(File->Vpb, &Pages) ? Pages : 0;
}

EXPORT ULONG Flush(PFILE_OBJECT File)
{
    IO_STATUS_BLOCK Block;
    CcFlushCache(File->SectionObjectPointer, NULL, 0, &Block);
    return (ULONG)Block.Status;
}

EXPORT ULONG Purge(PFILE_OBJECT File)
{
    return CcPurgeCacheSection(File->SectionObjectPointer, NULL, 0, 0);
}

EXPORT ULONG64 CachedSize(PFILE_OBJECT File)
{
    return File->SectionObjectPointer->SharedCacheMap == NULL
               ? ~0ULL
               : (ULONG64)((PLARGE_INTEGER)File->SectionObjectPointer->SharedCacheMap)[1].QuadPart;
}

EXPORT HANDLE Section(HANDLE File)
{
    HANDLE Handle = NULL;
    return NT_SUCCESS(ZwCreateSection(&Handle, SECTION_ALL_ACCESS, NULL, NULL, PAGE_READWRITE, SEC_COMMIT, File))
               ? Handle
               : NULL;
}

EXPORT ULONG Close(HANDLE Handle)
{
    return (ULONG)ZwClose(Handle);
}

EXPORT ULONG MayTruncate(PFILE_OBJECT File, ULONG64 Size)
{
    LARGE_INTEGER New = Number(Size);
    return MmCanFileBeTruncated(File->SectionObjectPointer, &New);
}

EXPORT ULONG MayDelete(PFILE_OBJECT File)
{
    return MmFlushImageSection(File->SectionObjectPointer, MmFlushForDelete);
}

EXPORT ULONG MayWrite(PFILE_OBJECT File)
{
    return MmFlushImageSection(File->SectionObjectPointer, MmFlushForWrite);
}

EXPORT ULONG64 Size(PFILE_OBJECT File)
{
    LARGE_INTEGER Found = Number(0);
    NTSTATUS Status = FsRtlGetFileSize(File, &Found);
    return NT_SUCCESS(Status) ? (ULONG64)Found.QuadPart : (ULONG64)(ULONG)Status;
}

EXPORT ULONG64 HeaderSize(PFILE_OBJECT File)
{
    return (ULONG64)((PFSRTL_ADVANCED_FCB_HEADER)File->FsContext)->FileSize.QuadPart;
}
"""


@pytest.fixture
def machine(load, tmp_path: Path):  # noqa: F811
    return load(DRIVER, volumes={"V:": tmp_path})


def opened(machine, name: str, *, options: int = 0x20, disposition: int = 3):
    """(file object, handle) of a file that drivers open."""
    k = machine.kernel
    parameters = OpenParameters(access=0x1F01FF, options=options, disposition=disposition)
    status, _, file = k.run(open_file(k.io, ObjectName(rf"\??\V:\{name}"), parameters))
    assert status == 0
    return file, make_handle(k.io, file, kernel=True, access=file.access)


def test_what_is_cached_is_flushed_and_purged(machine, tmp_path: Path) -> None:
    file, handle = opened(machine, "a")
    assert machine.call("CachedSize", file.address) == (1 << 64) - 1
    assert machine.call("Write", handle, 5000, 0x41) == 0

    assert machine.call("Dirty", file.address) == 2
    assert machine.call("CachedSize", file.address) == 5000
    assert machine.call("HeaderSize", file.address) == 5000
    assert machine.call("Flush", file.address) == 0
    assert machine.call("Dirty", file.address) == 0
    assert (tmp_path / "a").read_bytes() == b"A" * 5000
    assert machine.call("Purge", file.address) == 1


def test_dirty_pages_that_are_purged_are_never_written(machine, tmp_path: Path) -> None:
    file, handle = opened(machine, "a")
    machine.call("Write", handle, 4096, 0x41)

    assert machine.call("Purge", file.address) == 1
    assert machine.call("Dirty", file.address) == 0
    assert machine.call("Flush", file.address) == 0
    assert (tmp_path / "a").read_bytes() == bytes(4096)


def test_a_section_stands_in_the_way_of_deletes_cuts_and_purges(machine) -> None:
    file, handle = opened(machine, "a")
    machine.call("Write", handle, 8192, 0x41)
    section = machine.call("Section", handle)
    assert section

    assert machine.call("MayDelete", file.address) == 0
    assert machine.call("MayWrite", file.address) == 1
    assert machine.call("MayTruncate", file.address, 8192) == 1
    assert machine.call("MayTruncate", file.address, 4096) == 0
    assert machine.call("Purge", file.address) == 0
    assert machine.call("Close", section) == 0
    assert machine.call("MayDelete", file.address) == 1
    assert machine.call("MayTruncate", file.address, 0) == 1
    assert machine.call("Purge", file.address) == 1


def test_the_size_of_a_file_and_of_a_directory(machine) -> None:
    file, handle = opened(machine, "a")
    machine.call("Write", handle, 100, 0x41)
    directory, _ = opened(machine, "d", options=0x21)

    assert machine.call("Size", file.address) == 100
    assert machine.call("Size", directory.address) == NtStatus.FILE_IS_A_DIRECTORY
