"""FsRtlCreateSectionForDataScan."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.windows.cc.scan_sections import ScanSection
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(NTOSKRNL, "FsRtlCreateSectionForDataScan", max_irql=Irql.APC)
def fs_rtl_create_section_for_data_scan(
    k: "Kernel",
    handle_out: int,
    object_out: int,
    size_out: int,
    file_object: int,
    access: U32,
    attributes: int,
    maximum_at: int,
    protection: U32,
    allocation: U32,
    flags: U32,
) -> Code:
    """FsRtlCreateSectionForDataScan: what minifilters called before FltCreateSectionForDataScan."""
    del flags
    wanted = ScanSection(access, attributes, maximum_at, protection, allocation, handle_out, object_out, size_out)
    refused, file = wanted.refusal(), k.io.file_at(file_object)
    if refused is not None:
        return int(refused)
    if file is None:
        return int(NtStatus.INVALID_FILE_FOR_SECTION)
    return (yield from wanted.make(k, k.io, k.local_file_systems.stream_of(file), file))
