"""How functions of fltlib are written: as ones that give an NTSTATUS, which programs get as an HRESULT."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING

from harness.nt.hresult import hresult_of_status
from harness.reference.machine.loader.exports import FLTLIB, export
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

S_OK = 0


def filter_call(name: str) -> Callable[[Callable[..., Code]], Callable[..., Code]]:
    """Export a function of fltlib that is written to give an NTSTATUS."""

    def register(function: Callable[..., Code]) -> Callable[..., Code]:
        @wraps(function)
        def call(k: "Kernel", *arguments: int) -> Code:
            status: int = yield from function(k, *arguments)
            return hresult_of_status(status) if status & 0x8000_0000 else S_OK

        export(FLTLIB, name)(call)
        return function

    return register
