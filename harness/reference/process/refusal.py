"""A request that is answered with a failure status; the kernel goes on."""

from harness.nt import status_name


class RefusedError(Exception):
    """A request that was answered with a failure status."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message or status_name(status))
        self.status = status
