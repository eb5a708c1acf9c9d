"""The page fault that brings a page of a view in."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.memory.layout import PAGE_SIZE
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.cc.sections import Views
    from harness.reference.windows.ntos.executive import Executive


def page_fault(executive: "Executive", views: "Views", address: int) -> KernelCode | None:
    """Code that brings the page of a view in; None if the address is in no view, or its page is there already."""
    page = address & ~(PAGE_SIZE - 1)
    if executive.irql >= Irql.DISPATCH or views.at(address) is None or executive.memory.is_mapped(page):
        return None
    return _bring_in(views, address)


def _bring_in(views: "Views", address: int) -> KernelCode:
    try:
        yield from views.page_in(address, write=False)
    except StatusError as error:
        raise GuestException(int(NtStatus.IN_PAGE_ERROR), 0, address, int(error.status)) from error
