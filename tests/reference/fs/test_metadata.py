"""Reparse points, extended attributes, security, links, ids and sparse ranges, by the services that drivers call."""

import struct
from pathlib import Path

import pytest

from harness.nt import NtStatus
from harness.reference.windows.fs import extended_attributes
from harness.reference.windows.fs.extended_attributes import Ea
from harness.reference.windows.io.create import OpenParameters, make_handle, open_file
from harness.reference.windows.io.object_names import ObjectName
from harness.reference.windows.ntos.se import security
from tests.reference.core.conftest import compile_driver, load  # noqa: F401 - fixtures

DRIVER = r"""
EXPORT ULONG Control(HANDLE File, ULONG Code, PVOID In, ULONG InLength, PVOID Out, ULONG OutLength)
{
    IO_STATUS_BLOCK Block;
    return (ULONG)ZwFsControlFile(File, NULL, NULL, NULL, &Block, Code, In, InLength, Out, OutLength);
}

EXPORT ULONG Query(HANDLE File, PVOID Out, ULONG Length, ULONG Class)
{
    IO_STATUS_BLOCK Block;
    return (ULONG)ZwQueryInformationFile(File, &Block, Out, Length, (FILE_INFORMATION_CLASS)Class);
}

EXPORT ULONG Set(HANDLE File, PVOID In, ULONG Length, ULONG Class)
{
    IO_STATUS_BLOCK Block;
    return (ULONG)ZwSetInformationFile(File, &Block, In, Length, (FILE_INFORMATION_CLASS)Class);
}

EXPORT ULONG QueryEa(HANDLE File, PVOID Out, ULONG Length)
{
    IO_STATUS_BLOCK Block;
    return (ULONG)ZwQueryEaFile(File, &Block, Out, Length, FALSE, NULL, 0, NULL, TRUE);
}

EXPORT ULONG SetEa(HANDLE File, PVOID In, ULONG Length)
{
    IO_STATUS_BLOCK Block;
    return (ULONG)ZwSetEaFile(File, &Block, In, Length);
}

EXPORT ULONG QuerySecurity(HANDLE File, ULONG What, PVOID Out, ULONG Length)
{
    ULONG Needed;
    return (ULONG)ZwQuerySecurityObject(File, What, Out, Length, &Needed);
}

EXPORT ULONG SetSecurity(HANDLE File, ULONG What, PVOID Descriptor)
{
    return (ULONG)ZwSetSecurityObject(File, What, Descriptor);
}
"""
SET_REPARSE, GET_REPARSE, DELETE_REPARSE = 0x900A4, 0x900A8, 0x900AC
SYMBOLIC_LINK, MOUNT_POINT = 0xA000000C, 0xA0000003


class Lab:
    """Opens, and services with bytes in and out."""

    def __init__(self, machine) -> None:
        self.machine = machine
        self.k = machine.kernel

    def open(self, name: str, *, options: int = 0x20, disposition: int = 3, **more):
        """(NTSTATUS, file object)."""
        parameters = OpenParameters(access=0x1F01FF, options=options, disposition=disposition, **more)
        status, _, file = self.k.run(open_file(self.k.io, ObjectName(rf"\??\V:{name}"), parameters))
        return status, file

    def handle(self, name: str, **asked) -> int:
        status, file = self.open(name, **asked)
        assert status == 0, hex(status)
        return make_handle(self.k.io, file, kernel=True, access=file.access)

    def ask(self, function: str, handle: int, *numbers: int, data: bytes = b"", room: int = 0):
        """(NTSTATUS, what is in the buffer afterwards); the buffer comes behind the numbers."""
        buffer = self.k.heap.allocate(max(len(data), room, 1))
        self.k.memory.write(buffer, data)
        status = self.machine.call(function, handle, *numbers, buffer, *([len(data) or room] * 1))
        return status, self.k.memory.read(buffer, max(len(data), room, 1))

    def control(self, handle: int, code: int, data: bytes = b"", room: int = 0):
        source, target = self.k.heap.allocate(len(data) + 1), self.k.heap.allocate(room + 1)
        self.k.memory.write(source, data)
        status = self.machine.call("Control", handle, code, source, len(data), target, room)
        return status, self.k.memory.read(target, room) if room else b""

    def inform(self, function: str, handle: int, kind: int, data: bytes = b"", room: int = 0):
        buffer = self.k.heap.allocate(max(len(data), room))
        self.k.memory.write(buffer, data)
        status = self.machine.call(function, handle, buffer, len(data) or room, kind)
        return status, self.k.memory.read(buffer, max(len(data), room))


@pytest.fixture
def lab(load, tmp_path: Path) -> Lab:  # noqa: F811
    return Lab(load(DRIVER, volumes={"V:": tmp_path}))


def link_to(tag: int, target: str, *, relative: bool = False) -> bytes:
    """A REPARSE_DATA_BUFFER."""
    name = target.encode("utf-16-le")
    data = struct.pack("<HHHH", 0, len(name), len(name), 0)
    if tag == SYMBOLIC_LINK:
        data += struct.pack("<I", int(relative))
    data += name
    return struct.pack("<IHH", tag, len(data), 0) + data


@pytest.mark.parametrize(
    ("tag", "target", "relative"),
    [
        (SYMBOLIC_LINK, r"\??\V:\real", False),
        (SYMBOLIC_LINK, "real", True),
        (SYMBOLIC_LINK, r"..\..\real", True),
        (MOUNT_POINT, "\\??\\V:\\real\\", False),
    ],
)
def test_a_link_leads_elsewhere_and_can_itself_be_opened(lab: Lab, tag: int, target: str, relative: bool) -> None:
    lab.handle(r"\real", options=0x21, disposition=2)
    lab.handle(r"\real\file", disposition=2)
    lab.handle(r"\top", options=0x21, disposition=2)
    where = r"\top\link" if target.startswith("..") else r"\link"
    link = lab.handle(where, options=0x21, disposition=2)
    assert lab.control(link, SET_REPARSE, link_to(tag, target, relative=relative))[0] == 0

    status, file = lab.open(where + r"\file", disposition=1)
    assert status == 0
    assert file.opened.path == r"\real\file"
    assert lab.open(where, options=0x21, disposition=1)[1].opened.path == r"\real"
    again = lab.handle(where, options=0x200021, disposition=1)
    assert lab.control(again, GET_REPARSE, room=200)[1].startswith(link_to(tag, target, relative=relative))
    assert lab.control(again, DELETE_REPARSE, struct.pack("<IHH", tag, 0, 0))[0] == 0
    assert lab.open(where + r"\file", disposition=1)[0] == NtStatus.OBJECT_NAME_NOT_FOUND


def test_links_that_lead_in_a_circle_are_given_up(lab: Lab) -> None:
    link = lab.handle(r"\link", disposition=2)
    lab.control(link, SET_REPARSE, link_to(SYMBOLIC_LINK, r"\??\V:\link"))

    assert lab.open(r"\link", disposition=1)[0] == NtStatus.REPARSE_POINT_NOT_RESOLVED


def test_a_tag_that_nobody_handles_is_not_followed(lab: Lab) -> None:
    file = lab.handle(r"\file", disposition=2)
    assert lab.control(file, SET_REPARSE, struct.pack("<IHH", 0x80000123, 4, 0) + b"data")[0] == 0

    assert lab.open(r"\file", disposition=1)[0] == NtStatus.IO_REPARSE_TAG_NOT_HANDLED
    assert lab.control(file, SET_REPARSE, link_to(SYMBOLIC_LINK, "x"))[0] == NtStatus.IO_REPARSE_TAG_MISMATCH
    assert lab.control(file, SET_REPARSE, b"short")[0] == NtStatus.IO_REPARSE_DATA_INVALID


def test_extended_attributes_come_back(lab: Lab) -> None:
    file = lab.handle(r"\file", disposition=2)
    data = extended_attributes.answer([Ea("NAME", b"value")], 100, single=False)[0]

    assert lab.ask("QueryEa", file, room=100)[0] == NtStatus.NO_EAS_ON_FILE
    assert lab.ask("SetEa", file, data=data)[0] == 0
    status, found = lab.ask("QueryEa", file, room=100)
    assert (status, found[: len(data)]) == (0, data)


def test_a_create_brings_extended_attributes_and_a_descriptor(lab: Lab) -> None:
    eas = extended_attributes.answer([Ea("NAME", b"value")], 100, single=False)[0]
    mine = security.Descriptor(security.SYSTEM, security.USERS, (security.Ace(0, 0, 0x1, security.EVERYONE),)).pack()
    _, file = lab.open(r"\file", disposition=2, eas=eas, descriptor=mine)

    assert file.opened.inode.eas == {"NAME": (0, b"value")}
    assert security.unpack(file.opened.inode.security).owner == security.SYSTEM


def test_a_descriptor_is_set_and_read_in_parts(lab: Lab) -> None:
    file = lab.handle(r"\file", disposition=2)
    new = security.Descriptor(dacl=(security.Ace(1, 0, 0x2, security.EVERYONE),)).pack()
    buffer = lab.k.heap.allocate(len(new))
    lab.k.memory.write(buffer, new)

    assert lab.machine.call("SetSecurity", file, security.DACL_INFORMATION, buffer) == 0
    status, found = lab.ask("QuerySecurity", file, security.DACL_INFORMATION, room=200)
    assert status == 0
    assert security.unpack(found).dacl == (security.Ace(1, 0, 0x2, security.EVERYONE),)
    assert security.unpack(found).owner == b""
    assert lab.ask("QuerySecurity", file, 15, room=4)[0] == NtStatus.BUFFER_TOO_SMALL


def test_a_hard_link_is_another_name(lab: Lab) -> None:
    file = lab.handle(r"\file", disposition=2)
    name = r"\??\V:\other".encode("utf-16-le")

    assert lab.inform("Set", file, 11, struct.pack("<B7xQI", 0, 0, len(name)) + name)[0] == 0
    assert (
        lab.inform("Set", file, 11, struct.pack("<B7xQI", 0, 0, len(name)) + name)[0] == NtStatus.OBJECT_NAME_COLLISION
    )
    _, links = lab.inform("Query", file, 46, room=200)
    assert struct.unpack_from("<II", links)[1] == 2
    _, standard = lab.inform("Query", file, 5, room=24)
    assert struct.unpack_from("<I", standard, 16) == (2,)


def test_the_streams_of_a_file_are_listed(lab: Lab) -> None:
    file = lab.handle(r"\file", disposition=2)
    lab.handle(r"\file:note", disposition=2)
    status, data = lab.inform("Query", file, 22, room=200)

    assert status == 0
    assert "::$DATA".encode("utf-16-le") in data
    assert ":note:$DATA".encode("utf-16-le") in data


def test_object_ids_are_given_once(lab: Lab) -> None:
    file = lab.handle(r"\file", disposition=2)
    assert lab.control(file, 0x9009C, room=64)[0] == NtStatus.OBJECTID_NOT_FOUND
    made = lab.control(file, 0x900C0, room=64)[1]

    assert lab.control(file, 0x9009C, room=64) == (0, made)
    assert lab.control(file, 0x90098, made)[0] == NtStatus.OBJECT_NAME_COLLISION
    name = made[:16].decode("utf-16-le", "surrogatepass")
    assert lab.open("\\" + name, options=0x2020, disposition=1)[1].opened.path == r"\file"


def test_sparse_ranges(lab: Lab) -> None:
    file = lab.handle(r"\file", disposition=2)
    assert lab.control(file, 0x900C4)[0] == 0
    assert lab.inform("Set", file, 20, (0x40000).to_bytes(8, "little"))[0] == 0

    status, ranges = lab.control(file, 0x940CF, struct.pack("<qq", 0, 0x40000), room=64)
    assert (status, ranges) == (0, bytes(64))
    assert lab.control(file, 0x980C8, struct.pack("<qq", 8, 4))[0] == NtStatus.INVALID_PARAMETER


def test_posix_disposition_and_rename(lab: Lab) -> None:
    first, second = lab.handle(r"\file", disposition=2), lab.handle(r"\file", disposition=1)
    assert lab.inform("Set", first, 64, (0x3).to_bytes(4, "little"))[0] == 0
    assert lab.open(r"\file", disposition=1)[0] == NtStatus.DELETE_PENDING
    lab.k.run(lab.k.objects.close_handle(first))

    assert lab.open(r"\file", disposition=1)[0] == NtStatus.OBJECT_NAME_NOT_FOUND
    assert lab.inform("Query", second, 5, room=24)[0] == 0
    assert lab.inform("Set", second, 64, (0x100).to_bytes(4, "little"))[0] == NtStatus.INVALID_PARAMETER
