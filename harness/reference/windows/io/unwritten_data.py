"""Whether what programs get in an answer, and a file system in a question, is something that a driver has written."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, is_error
from harness.reference.windows.io.buffer_parameters import TAKES, buffer_of, input_of

if TYPE_CHECKING:
    from harness.reference.windows.io.request import Request
    from harness.reference.windows.ntos.executive import Executive


def look_at_answer(k: "Executive", request: "Request", status: int, information: int) -> None:
    """What a program gets of a request, or a page of a file: as much as Information says."""
    if request.major in TAKES or is_error(status):
        return
    buffer, length = buffer_of(request)
    k.handed_on.look_at(buffer, min(length, information), "for user mode", request.describe)


def look_at_question(k: "Executive", request: "Request") -> None:
    """What has come to a file system."""
    if request.major == IrpMajor.CREATE:
        name = request.file.name if request.file is not None else ""
        k.handed_on.look(name.encode("utf-16-le", "surrogatepass"), "of a file name", lambda: request.name)
        return
    buffer, length = input_of(request)
    if length:
        k.handed_on.look_at(buffer, length, "for the file system", request.describe)
