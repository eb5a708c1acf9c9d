"""Exceptions that kernel code raises *into* guest code, where `__try` may catch them."""

from harness.nt import status_name


class GuestException(Exception):
    """A structured exception: what ExRaiseStatus raises. An export that raises it faults in its caller's frame."""

    def __init__(self, status: int, *parameters: int) -> None:
        super().__init__(status_name(status))
        self.status = status & 0xFFFFFFFF
        self.parameters = parameters


class PageFault(GuestException):
    """A touch of memory that is not mapped, or not so. In user space it is an access violation, else a bug check."""

    def __init__(self, address: int, *, write: bool = False, execute: bool = False) -> None:
        super().__init__(0xC0000005, 8 if execute else int(write), address)
        self.address = address
        self.write = write
        self.execute = execute

    def __str__(self) -> str:
        return f"{'write to' if self.write else 'execution of' if self.execute else 'read of'} {self.address:#x}"
