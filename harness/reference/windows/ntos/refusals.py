"""A refusal: how code of any room ends what was asked of it, with an NTSTATUS instead of an answer."""

from harness.nt import status_name


class VolumeError(Exception):
    """An operation that is refused; `status` is the NTSTATUS it completes with."""

    def __init__(self, status: int) -> None:
        super().__init__(status_name(status))
        self.status = status
