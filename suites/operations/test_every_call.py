"""What the filter manager answers in every class of operations: names, what is synchronous, buffers, other files.

`services` asks of each operation on "every.bin" and "every", and prints what it was and what was answered.
"""

import re
from dataclasses import dataclass

import pytest

from harness.minifilter.operation_classes import EVERY_OPERATION, NAMES, OPERATIONS, every_class
from harness.nt import IrpMajor, NtStatus, OperationClass

pytestmark = [
    pytest.mark.stack("observer@above", "services", "observer@below"),
    pytest.mark.driver_options("above", operations=OPERATIONS),
    pytest.mark.driver_options("below", operations=OPERATIONS),
]

LINE = re.compile(
    r"services: of (?P<major>\d+)\.\d+ class (?P<kind>\d) irp (?P<irp>\w+) file (?P<file>\w+) code (?P<code>\w+)"
    r" top (?P<top>\d) apcs (?P<apcs>\d): name (?P<name>\w+), cached (?P<cached>\w+), synchronous (?P<synchronous>\d),"
    r" same (?P<same>\d), locked (?P<locked>\w+), before (?P<before>\d), after (?P<after>\d), dirty (?P<dirty>\d)"
)
PAGING_IO, SYNCHRONOUS_API, SYNCHRONOUS_PAGING_IO = 0x2, 0x4, 0x40
"""IrpFlags."""
FO_SYNCHRONOUS_IO, FO_CLEANUP_COMPLETE = 0x2, 0x4000
METHODS = 3
"""The bits of a control code that are 0 for METHOD_BUFFERED."""
CONTROLS = (IrpMajor.FILE_SYSTEM_CONTROL, IrpMajor.DEVICE_CONTROL)
LOCKABLE = (
    IrpMajor.READ, IrpMajor.WRITE, IrpMajor.DIRECTORY_CONTROL, IrpMajor.QUERY_EA, IrpMajor.SET_EA,
    IrpMajor.QUERY_SECURITY, *CONTROLS,
)  # fmt: skip
"""Those of which the documentation of FltLockUserBuffer says that they can be locked."""
ASKED = (
    *LOCKABLE, IrpMajor.CREATE, IrpMajor.CLEANUP, IrpMajor.QUERY_INFORMATION, IrpMajor.SET_INFORMATION,
    IrpMajor.SET_SECURITY, IrpMajor.FLUSH_BUFFERS, IrpMajor.QUERY_VOLUME_INFORMATION,
)  # fmt: skip
"""The majors that come on every guest."""


@dataclass(frozen=True)
class Asked:
    """One operation as `services` was shown it in its preoperation callback, and the answers."""

    major: IrpMajor
    kind: OperationClass
    irp: int
    file: int
    code: int
    top: int
    apcs: int
    name: int
    cached: int
    synchronous: int
    same: int
    locked: int
    before: int
    after: int
    dirty: int

    @property
    def paging(self) -> bool:
        return self.kind is OperationClass.IRP and bool(self.irp & PAGING_IO)

    @property
    def words(self) -> str:
        return f"{self.major.name} ({self.kind.name}, {self.irp:#x}, {self.code:#x})"


@pytest.fixture
def asked(lab):
    """The operations of the last I/O, in their order."""

    def told():
        found = [LINE.match(item.text) for item in lab.trace.prints]
        numbers = [{key: int(value, 0) for key, value in one.groupdict().items()} for one in found if one]
        all_of_them = [
            Asked(**{**one, "major": IrpMajor(one["major"]), "kind": OperationClass(one["kind"])}) for one in numbers
        ]
        assert {one.major for one in all_of_them} >= set(ASKED)
        return all_of_them

    return told


@pytest.mark.rule("NAME-01")
def test_the_name_of_every_class_is_queried_where_that_is_safe_and_refused_elsewhere(lab, asked):
    lab.io(EVERY_OPERATION)

    def unsafe(one):
        release = one.major is IrpMajor.RELEASE_FOR_SECTION_SYNCHRONIZATION  # of the acquire the pre may ask
        return one.paging or one.top or one.apcs or release or one.file & FO_CLEANUP_COMPLETE

    refused = [one for one in asked() if unsafe(one)]
    assert {one.words for one in refused if one.name != NtStatus.FLT_INVALID_NAME_REQUEST} == set()
    assert {one.words for one in asked() if not unsafe(one) and one.name != NtStatus.SUCCESS} == set()
    lab.witness(any(one.cached == NtStatus.SUCCESS for one in refused), "a name was in the cache where none is queried")


@pytest.mark.rule("IO-06")
def test_what_is_synchronous_of_every_class_follows_from_how_it_comes_its_file_and_its_code(lab, asked):
    lab.io(
        EVERY_OPERATION.replace(
            "close           o",
            """
    query           o class=internal
    fsctl           o code=0x9003C out=2
    fsctl           o code=0x90073 in=8 out=64
    flush           o
    close           o""",
        )
    )

    def synchronous(one):
        if one.kind is not OperationClass.IRP:
            return True
        if one.paging:
            return bool(one.irp & SYNCHRONOUS_PAGING_IO)
        buffered = one.major in CONTROLS and not one.code & METHODS
        return bool(one.file & FO_SYNCHRONOUS_IO or one.irp & SYNCHRONOUS_API) or buffered

    assert {one.words for one in asked() if one.synchronous != synchronous(one)} == set()
    asynchronous = {one.major for one in asked() if not one.synchronous}
    assert asynchronous >= {IrpMajor.READ, IrpMajor.WRITE, IrpMajor.DIRECTORY_CONTROL, IrpMajor.FILE_SYSTEM_CONTROL}


@pytest.mark.rule("BUF-04")
def test_the_buffer_of_every_class_is_locked_into_an_mdl_and_only_what_has_room_for_one(lab, asked):
    io = lab.io(EVERY_OPERATION)

    has_room = [
        one
        for one in asked()
        if one.major in LOCKABLE and one.kind is not OperationClass.FS_FILTER and one.major not in CONTROLS
    ]
    assert {one.words for one in has_room if one.locked or not one.after} == set()
    assert {one.words for one in has_room if one.dirty == one.before} == set()  # dirty where it had to make one
    others = [one for one in asked() if one.major not in LOCKABLE and one.kind is not OperationClass.FS_FILTER]
    assert {one.words for one in others if not one.locked or one.dirty} == set()
    failed = [step for step in io.steps if step.verb != "ioctl" and step.status not in (0, NtStatus.PENDING)]
    assert failed == []
    assert {bytes(step.data) for step in io.steps if step.verb == "read"} <= {b"", b"\x5a" * 64}


@pytest.mark.rule("PARM-06", "PARM-07")
def test_every_class_that_is_turned_to_another_file_comes_below_with_that_file(lab, asked, volume):
    volume.file("target.bin", length=65536, fill=0x77)

    io = lab.io(
        r"""
    open   t V:\target.bin access=rw,security,0x40000 options=noncached
    open   u V:\targets access=list options=directory disposition=open-if
    """
        + EVERY_OPERATION.replace(r"V:\every\new.txt", r"V:\targets\new.txt")
    )

    assert {one.words for one in asked() if not one.same} == set()
    targets = {
        name: lab.trace.only(IrpMajor.CREATE, name=target).of("below").pre
        for name, target in zip(NAMES, ("target.bin", "targets"), strict=True)
    }
    ends = ("CREATE", "CLEANUP", "CLOSE", "NETWORK", "ACQUIRE", "RELEASE")
    turned = {
        kind: [(item.of("above").pre, item.of("below").pre, targets[item.name]) for item in operations]
        for kind, operations in every_class(lab.trace).items()
        if not kind.startswith(ends) and "paging" not in kind
    }
    elsewhere = {
        kind
        for kind, every in turned.items()
        for above, below, target in every
        if (below.file_object, below.instance) != (target.file_object, target.instance)
        or above.file_object == target.file_object
    }
    assert elsewhere == set()
    assert {bytes(step.data) for step in io.all("read", "f")} == {b"\x77" * 64}
