r"""The classes of operations that a rule applies to, and one I/O script that makes operations of all.

    for name in NAMES:
        lab.passthrough.when(None, name=name, paging=True).with_callback()
    lab.io(EVERY_OPERATION)
    assert strays(by_class(lab.trace), ("above", "passthrough", "below"), [*DOWN, *UP]) == {}

A class is the major function (with the minor one where it matters), how the operation comes (IRP, fast I/O, FSFilter),
and for reads and writes cached, non-cached or paging, synchronous or overlapped. What differs then names its class.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from harness.errors import TestError
from harness.minifilter.trace import Operation, Trace
from harness.nt import IrpMajor, OperationClass

View = TypeVar("View")

EVERY_OPERATION = r"""
    open            f V:\every.bin access=rw,security,0x40000 options=noncached
    read            f offset=0 length=4096
    write           f offset=0 length=4096 fill=0x5A
    query           f class=internal
    query           f class=standard
    set             f class=end-of-file value=32768
    set             f class=basic value=0x80
    flush           f
    lock            f offset=0 length=16
    unlock          f offset=0 length=16
    fsctl           f code=0x9003C out=2
    ioctl           f code=0x4D0008 out=512
    set-ea          f name=EVERY text=one
    query-ea        f
    query-security  f information=7
    set-security    f information=4
    query-volume    f class=size
    open            o V:\every.bin access=rw options=noncached,overlapped
    read            o offset=0 length=4096 async=reading
    wait            reading
    write           o offset=0 length=4096 fill=0x5A async=writing
    wait            writing
    open            c V:\every.bin access=rw
    read            c offset=0 length=512
    read            c offset=512 length=512
    write           c offset=0 length=512 fill=0x5A
    write           c offset=512 length=512 fill=0x5A
    flush           c
    section         s c protect=readwrite
    map             v s protect=readwrite
    peek            v offset=16384 length=16
    poke            v offset=16384 length=16 fill=0x5A
    unmap           v
    close-section   s
    query-path      V:\every.bin
    close           o
    close           c
    close           f
    open            d V:\every access=list options=directory,overlapped disposition=open-if
    directory       d
    notify          d async=changed
    expect-events   below major=directory-control phase=pre count=2
    sleep           50
    open            n V:\every\new.txt access=write disposition=create
    wait            changed
    close           n
    close           d
"""
"""What a program does to a file, `V:\\every.bin` of 65536 bytes, and to a directory, `V:\\every`, which it makes.

The directory changes once `below`, the lowest minifilter, was shown that somebody waits for it: before that a change is
nobody's. What it takes from there to the file system is not seen, and so has a little time.
"""

WITHOUT_NOTICE = EVERY_OPERATION.replace("wait            changed", "").replace(
    "expect-events   below major=directory-control phase=pre count=2", ""
)
"""The same where nobody is told of the change, as what asks for that does not come down."""

NAMES = ("every.bin", "every")
"""What rules and questions are about: the operations on these."""

OPERATIONS = [
    f"{major} pre post"
    for major in (
        "create", "close", "read", "write", "query-information", "set-information", "query-ea", "set-ea",
        "flush-buffers", "query-volume-information", "directory-control", "file-system-control", "device-control",
        "lock-control", "cleanup", "query-security", "set-security", "acquire-for-section-synchronization",
        "release-for-section-synchronization", "network-query-open",
    )
]  # fmt: skip
"""What test minifilters register for, to be shown all of it: `driver_options(label, operations=OPERATIONS)`."""

_CACHE = {True: "non-cached", False: "cached"}
_IRP_NOCACHE = 0x01
_FILE_SYNCHRONOUS_IO = 0x30
"""FILE_SYNCHRONOUS_IO_ALERT and _NONALERT of the create options."""
_KINDS = {OperationClass.IRP: "IRP", OperationClass.FAST_IO: "fast I/O", OperationClass.FS_FILTER: "FSFilter"}
_MINOR = {
    (IrpMajor.DIRECTORY_CONTROL, 1): "query", (IrpMajor.DIRECTORY_CONTROL, 2): "notify",
    (IrpMajor.LOCK_CONTROL, 1): "lock", (IrpMajor.LOCK_CONTROL, 2): "unlock",
}  # fmt: skip


def class_of(operation: Operation, *, overlapped: bool = False) -> str:
    """What class an operation is of, in words: `READ (IRP, non-cached)`.

    `overlapped` is its file object, which none of its events tells.
    """
    first = operation.first
    major = operation.major.name if isinstance(operation.major, IrpMajor) else f"{operation.major:#x}"
    kind = _KINDS.get(operation.operation_class, "?") if operation.operation_class is not None else "?"
    words = [kind]
    minor = _MINOR.get((operation.major, first.minor)) if isinstance(operation.major, IrpMajor) else None
    if minor:
        words.append(minor)
    if operation.major in (IrpMajor.READ, IrpMajor.WRITE) and kind == "IRP":
        words.append("paging" if first.paging else _CACHE[bool(first.irp_flags & _IRP_NOCACHE)])
        if overlapped and not first.paging:
            words.append("overlapped")
    return f"{major} ({', '.join(words)})"


def by_class(trace: Trace) -> dict[str, list[Operation]]:
    """The operations on `NAMES`, paging I/O and the lazy writer's among them, by their class."""
    found: dict[str, list[Operation]] = {}
    for name in NAMES:
        overlapped: dict[int, bool] = {}
        for operation in trace.all(name=name, paging=None, process="any"):
            file = operation.file_object
            if operation.major == IrpMajor.CREATE:
                overlapped[file] = not operation.first.detail & _FILE_SYNCHRONOUS_IO
            kind = class_of(operation, overlapped=overlapped.get(file, False))
            found.setdefault(kind, []).append(operation)
    return found


def path_among(operation: Operation, labels: Iterable[str]) -> list[str]:
    """The callbacks of these minifilters, in their order."""
    wanted = set(labels)
    return [step for step in operation.path if step.partition(".")[0] in wanted]


def strays(found: Mapping[str, Sequence[Operation]], labels: Iterable[str], expected: Sequence[str]) -> dict[str, str]:
    """The classes of which an operation went another way among these minifilters, and that way."""
    wanted = list(labels)
    paths = {kind: [path_among(item, wanted) for item in operations] for kind, operations in found.items()}
    return {kind: " ".join(path) for kind, ways in paths.items() for path in ways if path != list(expected)}


def unlike(views: Mapping[str, Iterable[View]], wrong: Callable[[View], bool]) -> set[str]:
    """The classes of which one of what there is of them is wrong."""
    return {kind for kind, every in views.items() for view in every if wrong(view)}


ALWAYS = frozenset(
    f"{name} ({kind})"
    for name, kind in (
        ("CREATE", "IRP"), ("CLEANUP", "IRP"), ("READ", "IRP, non-cached"), ("WRITE", "IRP, non-cached"),
        ("READ", "IRP, non-cached, overlapped"), ("WRITE", "IRP, non-cached, overlapped"),
        ("QUERY_INFORMATION", "IRP"), ("SET_INFORMATION", "IRP"), ("QUERY_EA", "IRP"), ("SET_EA", "IRP"),
        ("QUERY_SECURITY", "IRP"), ("SET_SECURITY", "IRP"), ("FLUSH_BUFFERS", "IRP"),
        ("FILE_SYSTEM_CONTROL", "IRP"), ("QUERY_VOLUME_INFORMATION", "IRP"), ("DIRECTORY_CONTROL", "IRP, query"),
        ("DIRECTORY_CONTROL", "IRP, notify"),
    )
)  # fmt: skip
"""The classes that come on every guest; whether others do (fast I/O, paging) is up to the file system and the cache."""

WITH_A_BUFFER = ALWAYS - {
    f"{name} (IRP)" for name in ("CREATE", "CLEANUP", "SET_SECURITY", "FLUSH_BUFFERS", "FILE_SYSTEM_CONTROL")
}
"""Those of them that have one buffer of a given length."""


def every_class(trace: Trace, without: Collection[str] = ()) -> dict[str, list[Operation]]:
    """`by_class` of a trace that has the classes that always come, but for what others lead to.

    TestError if one has not come.
    """
    found = by_class(trace)
    missing = sorted(ALWAYS - set(found) - set(without))
    if missing:
        raise TestError(f"of these classes no operation came: {'; '.join(missing)}")
    return found
