"""How code of any room ends what was asked of it with an NTSTATUS instead of an answer."""

from harness.nt import status_name


class StatusError(Exception):
    """What was asked ends with `status`, an NTSTATUS."""

    def __init__(self, status: int) -> None:
        super().__init__(status_name(status))
        self.status = status
