"""What is asked and set of files, directories and volumes; FSCTLs, notifications and oplocks."""

from harness.minifilter.script_words import (
    Change,
    DirectoryClass,
    OplockLevel,
    QueryClass,
    RenameFlag,
    SetClass,
    SetVolumeClass,
    VolumeClass,
)
from harness.minifilter.steps.script_step import Named, OneOrMore, ScriptStep, line, plain


def query(file: Named, *, class_: QueryClass | int, room: int | None = None) -> ScriptStep:
    """NtQueryInformationFile, with `room` for so many bytes, or for as many as the class has."""
    return line("query", file, class_=class_, room=room)


def set(
    file: Named,
    *,
    class_: SetClass | int,
    value: int | None = None,
    data: bytes | None = None,
    path: str | None = None,
    name: str | None = None,
    relative: Named | None = None,
    flags: OneOrMore[RenameFlag] | None = None,
    replace: bool = False,
) -> ScriptStep:
    r"""NtSetInformationFile with a number, or with the bytes of the structure.

    A rename or link (`-ex`: with `flags`) leads to a `path` by itself, to one below the open directory `relative`, or
    to a `name` in the directory where the file is.
    """
    return line(
        "set",
        file,
        class_=class_,
        value=value,
        data=data,
        path=path,
        name=name,
        relative=relative,
        flags=flags,
        plain=plain(replace=replace),
    )


def query_path(path: str) -> ScriptStep:
    """NtQueryFullAttributesFile."""
    return line("query-path", path)


def query_volume(file: Named, *, class_: VolumeClass | int, room: int | None = None) -> ScriptStep:
    """NtQueryVolumeInformationFile."""
    return line("query-volume", file, class_=class_, room=room)


def set_volume(
    file: Named, *, class_: SetVolumeClass | int, text: str | None = None, data: bytes | None = None
) -> ScriptStep:
    """NtSetVolumeInformationFile: a label as text, or the bytes of the structure."""
    return line("set-volume", file, class_=class_, text=text, data=data)


def directory(
    file: Named,
    *,
    pattern: str | None = None,
    class_: DirectoryClass | int | None = None,
    room: int | None = None,
    async_: str | None = None,
    single: bool = False,
    continue_: bool = False,
    whole: bool = False,
) -> ScriptStep:
    """NtQueryDirectoryFile: one page (`room` bytes, 4096 by itself), the first unless it is to continue.

    `names` of the result are those that were listed, in the first 4096 bytes, or in the whole page.
    """
    words = plain(single=single, whole=whole) + (["continue"] if continue_ else [])
    return line("directory", file, pattern=pattern, class_=class_, room=room, async_=async_, plain=words)


def fsctl(
    file: Named,
    *,
    code: int,
    in_zeros: int | None = None,
    data: bytes | None = None,
    out: int | None = None,
    async_: str | None = None,
) -> ScriptStep:
    """NtFsControlFile, with these bytes or so many zeros as input, and room for `out` bytes."""
    return line("fsctl", file, code=code, in_zeros=in_zeros, data=data, out=out, async_=async_)


def ioctl(
    file: Named,
    *,
    code: int,
    in_zeros: int | None = None,
    data: bytes | None = None,
    out: int | None = None,
    async_: str | None = None,
) -> ScriptStep:
    r"""NtDeviceIoControlFile: of a file, or of a driver's device, opened as `\??\MyDevice`."""
    return line("ioctl", file, code=code, in_zeros=in_zeros, data=data, out=out, async_=async_)


def notify(
    file: Named,
    *,
    filter: OneOrMore[Change] | None = None,
    room: int | None = None,
    async_: str | None = None,
    tree: bool = False,
) -> ScriptStep:
    """NtNotifyChangeDirectoryFile: changes of these kinds (file names by itself), in the whole `tree` if asked."""
    return line("notify", file, filter=filter, room=room, async_=async_, plain=plain(tree=tree))


def oplock(file: Named, *, level: OplockLevel, async_: str | None = None) -> ScriptStep:
    """Ask for an oplock: an operation that is pending for as long as it is held, and ends when it is broken.

    `level-1`, `level-2`, `batch` and `filter` are the older kinds; `read` and its kin go by FSCTL_REQUEST_OPLOCK.
    """
    return line("oplock", file, level=level, async_=async_)


def acknowledge_oplock(
    file: Named,
    *,
    level: OplockLevel | None = None,
    async_: str | None = None,
    no_2: bool = False,
    close_pending: bool = False,
) -> ScriptStep:
    """Acknowledge that an oplock is broken: with the `level` that is kept, where it is of the newer kind."""
    words = plain(no_2=no_2, close_pending=close_pending)
    return line("acknowledge-oplock", file, level=level, async_=async_, plain=words)
