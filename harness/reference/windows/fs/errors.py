"""What an error of the host's file system becomes in the volume: one NTSTATUS for one errno."""

import errno

from harness.nt import NtStatus

_STATUS_OF_ERRNO = {
    errno.ENOENT: NtStatus.OBJECT_NAME_NOT_FOUND,
    errno.EEXIST: NtStatus.OBJECT_NAME_COLLISION,
    errno.ENOTDIR: NtStatus.OBJECT_PATH_NOT_FOUND,
    errno.EISDIR: NtStatus.FILE_IS_A_DIRECTORY,
    errno.ENOTEMPTY: NtStatus.DIRECTORY_NOT_EMPTY,
    errno.EACCES: NtStatus.ACCESS_DENIED,
    errno.EPERM: NtStatus.ACCESS_DENIED,
    errno.EROFS: NtStatus.MEDIA_WRITE_PROTECTED,
    errno.ENOSPC: NtStatus.DISK_FULL,
    errno.EDQUOT: NtStatus.DISK_FULL,
    errno.EFBIG: NtStatus.DISK_FULL,
    errno.EIO: NtStatus.IO_DEVICE_ERROR,
    errno.EUCLEAN: NtStatus.IO_DEVICE_ERROR,
    errno.ENODEV: NtStatus.DEVICE_NOT_READY,
    errno.ENXIO: NtStatus.DEVICE_NOT_READY,
    errno.ETIMEDOUT: NtStatus.IO_TIMEOUT,
    errno.ENAMETOOLONG: NtStatus.OBJECT_NAME_INVALID,
    errno.EINVAL: NtStatus.INVALID_PARAMETER,
    errno.ENOMEM: NtStatus.INSUFFICIENT_RESOURCES,
    errno.EMFILE: NtStatus.INSUFFICIENT_RESOURCES,
    errno.ENFILE: NtStatus.INSUFFICIENT_RESOURCES,
}


def status_of(error: OSError) -> NtStatus:
    """The NTSTATUS for a host error; UNEXPECTED_IO_ERROR where the errno has no counterpart."""
    return _STATUS_OF_ERRNO.get(error.errno or 0, NtStatus.UNEXPECTED_IO_ERROR)


class Reparse(Exception):
    """A create that met a reparse point: what STATUS_REPARSE is completed with.

    `data` is the whole REPARSE_DATA_BUFFER, and `remaining` what of the name lies behind the reparse point.
    """

    def __init__(self, tag: int, data: bytes, remaining: str) -> None:
        super().__init__(f"reparse point 0x{tag:08X}")
        self.tag = tag
        self.data = data
        self.remaining = remaining
