"""The layouts and numbers that C and Python must agree on, checked by compiling static assertions.

Held against each other are: FLTLAB_EVENT and its decoder; fltkernel.h and harness.nt; FLT_PARAMETERS and mingw-w64's
IO_STACK_LOCATION; fltkernel.h and Microsoft's metadata, where that is installed. A difference is a compiler error that
names it.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from enum import IntEnum
from pathlib import Path

from harness.errors import ConfigurationError
from harness.minifilter import metadata as metadata_module
from harness.minifilter import prints
from harness.minifilter.events import EVENT_SIZE, FIELDS, NAME_OFFSET, ContextCall, Mechanism, Phase
from harness.minifilter.imports import import_list
from harness.minifilter.metadata import Metadata, metadata_version, read_metadata
from harness.minifilter.toolchain import Compilation, Toolchain
from harness.nt import (
    CallbackDataFlags,
    ContextType,
    FilterUnloadFlags,
    InstanceSetupFlags,
    InstanceTeardownFlags,
    IrpMajor,
    NtStatus,
    OperationRegistrationFlags,
    PostOperationFlags,
    PostopStatus,
    PreopStatus,
    RegistrationFlags,
)

# Enums of harness.nt and of the decoder, and the prefix their members have in C.
NUMBERS: tuple[tuple[type[IntEnum] | type, str], ...] = (
    (Phase, "FLTLAB_PHASE_"),
    (Mechanism, "FLTLAB_MECHANISM_"),
    (ContextCall, "FLTLAB_CONTEXT_"),
    (PreopStatus, "FLT_PREOP_"),
    (PostopStatus, "FLT_POSTOP_"),
    (CallbackDataFlags, "FLTFL_CALLBACK_DATA_"),
    (PostOperationFlags, "FLTFL_POST_OPERATION_"),
    (RegistrationFlags, "FLTFL_REGISTRATION_"),
    (OperationRegistrationFlags, "FLTFL_OPERATION_REGISTRATION_"),
    (InstanceSetupFlags, "FLTFL_INSTANCE_SETUP_"),
    (InstanceTeardownFlags, "FLTFL_INSTANCE_TEARDOWN_"),
    (FilterUnloadFlags, "FLTFL_FILTER_UNLOAD_"),
    (IrpMajor, "IRP_MJ_"),
    (NtStatus, "STATUS_"),
)

# Members of FLT_PARAMETERS whose offset is that of a member of IO_STACK_LOCATION.Parameters.
SAME_AS_IRP: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "Create": ("Create", ("SecurityContext", "Options", "FileAttributes", "ShareAccess", "EaLength")),
    "CreatePipe": ("CreatePipe", ("SecurityContext", "Options", "ShareAccess", "Parameters")),
    "CreateMailslot": ("CreateMailslot", ("SecurityContext", "Options", "ShareAccess", "Parameters")),
    "QueryFileInformation": ("QueryFile", ("Length", "FileInformationClass")),
    "SetFileInformation": ("SetFile", ("Length", "FileInformationClass")),
    "QueryEa": ("QueryEa", ("Length", "EaList", "EaListLength", "EaIndex")),
    "SetEa": ("SetEa", ("Length",)),
    "QueryVolumeInformation": ("QueryVolume", ("Length", "FsInformationClass")),
    "SetVolumeInformation": ("SetVolume", ("Length", "FsInformationClass")),
    "DirectoryControl.QueryDirectory": ("QueryDirectory", ("Length", "FileName", "FileInformationClass", "FileIndex")),
    "DirectoryControl.NotifyDirectory": ("NotifyDirectory", ("Length", "CompletionFilter")),
    "FileSystemControl.Common": (
        "FileSystemControl",
        ("OutputBufferLength", "InputBufferLength", "FsControlCode"),
    ),
    "FileSystemControl.VerifyVolume": ("VerifyVolume", ("Vpb", "DeviceObject")),
    "DeviceIoControl.Common": ("DeviceIoControl", ("OutputBufferLength", "InputBufferLength", "IoControlCode")),
    "LockControl": ("LockControl", ("Length", "Key", "ByteOffset")),
    "QuerySecurity": ("QuerySecurity", ("SecurityInformation", "Length")),
    "SetSecurity": ("SetSecurity", ("SecurityInformation", "SecurityDescriptor")),
    "QueryQuota": ("QueryQuota", ("Length", "StartSid", "SidList", "SidListLength")),
    "SetQuota": ("SetQuota", ("Length",)),
    "Pnp.StartDevice": ("StartDevice", ("AllocatedResources", "AllocatedResourcesTranslated")),
    "Pnp.ReadWriteConfig": ("ReadWriteConfig", ("WhichSpace", "Buffer", "Offset", "Length")),
    "Pnp.QueryDeviceText": ("QueryDeviceText", ("DeviceTextType", "LocaleId")),
    "Pnp.UsageNotification": ("UsageNotification", ("InPath", "Type")),
    "WMI": ("WMI", ("ProviderId", "DataPath", "BufferSize", "Buffer")),
}

# x64 offsets that the documentation, the metadata and a driver built with Microsoft's kit agree on.
KNOWN: Mapping[str, tuple[int, Mapping[str, int]]] = {
    "FLT_CALLBACK_DATA": (
        88,
        {"Flags": 0, "Thread": 8, "Iopb": 16, "IoStatus": 24, "TagData": 40, "QueueLinks": 48, "RequestorMode": 80},
    ),
    "FLT_IO_PARAMETER_BLOCK": (
        72,
        {"IrpFlags": 0, "MajorFunction": 4, "TargetFileObject": 8, "TargetInstance": 16, "Parameters": 24},
    ),
    "FLT_REGISTRATION": (112, {"ContextRegistration": 8, "OperationRegistration": 16, "FilterUnloadCallback": 24}),
    "FLT_OPERATION_REGISTRATION": (32, {"PreOperation": 8, "PostOperation": 16}),
    "FLT_RELATED_OBJECTS": (48, {"Filter": 8, "Volume": 16, "Instance": 24, "FileObject": 32, "Transaction": 40}),
    "FLT_CONTEXT_REGISTRATION": (56, {"ContextCleanupCallback": 8, "Size": 16, "PoolTag": 24}),
    "FLT_FILE_NAME_INFORMATION": (120, {"Name": 8, "ParentDir": 104}),
    "FLT_PARAMETERS": (
        48,
        {
            "Create.EaBuffer": 32,
            "Create.AllocationSize": 40,
            "Read.Length": 0,
            "Read.Key": 8,
            "Read.ByteOffset": 16,
            "Read.ReadBuffer": 24,
            "Read.MdlAddress": 32,
            "Write.WriteBuffer": 24,
            "Write.MdlAddress": 32,
            "QueryFileInformation.InfoBuffer": 16,
            "DirectoryControl.QueryDirectory.DirectoryBuffer": 32,
            "Others.Argument6": 40,
        },
    ),
}


def _equal(expression: str, value: int, what: str) -> str:
    return f'_Static_assert((ULONG64)({expression}) == {value:#x}ULL, "{what}: {value} expected");'


def _event_assertions() -> Iterator[str]:
    yield _equal("sizeof(FLTLAB_EVENT)", EVENT_SIZE, "size of FLTLAB_EVENT")
    yield _equal("FIELD_OFFSET(FLTLAB_EVENT, Name)", NAME_OFFSET, "FLTLAB_EVENT.Name")
    sizes = {"Q": 8, "I": 4, "H": 2, "B": 1}
    yield _equal("sizeof(FLTLAB_PRINT)", prints.PRINT_SIZE, "size of FLTLAB_PRINT")
    yield _equal("FIELD_OFFSET(FLTLAB_PRINT, Text)", prints.TEXT_OFFSET, "FLTLAB_PRINT.Text")
    for record, fields in (("FLTLAB_EVENT", FIELDS), ("FLTLAB_PRINT", prints.FIELDS)):
        for field in fields:
            yield _equal(f"FIELD_OFFSET({record}, {field.c_name})", field.offset, f"{record}.{field.c_name}")
            member = f"(({record} *)0)->{field.c_name}"
            yield _equal(f"sizeof({member})", sizes[field.code], f"size of {record}.{field.c_name}")


def _number_assertions() -> Iterator[str]:
    for kind, prefix in NUMBERS:
        mask = "UCHAR" if prefix == "IRP_MJ_" else "ULONG"
        for name, member in kind.__members__.items():  # type: ignore[union-attr]
            c_name = prefix + name
            text = _equal(f"({mask}){c_name}", int(member), c_name)
            # mingw-w64 lacks some status codes; everything else must be there.
            yield f"#ifdef {c_name}\n{text}\n#endif" if prefix == "STATUS_" else text
    for context in ContextType:
        name = {"STREAM_HANDLE": "FLT_STREAMHANDLE_CONTEXT", "END": "FLT_CONTEXT_END"}.get(
            str(context.name), f"FLT_{context.name}_CONTEXT"
        )
        yield _equal(name, int(context), name)


def _structure_assertions() -> Iterator[str]:
    for structure, (size, offsets) in KNOWN.items():
        yield _equal(f"sizeof({structure})", size, f"size of {structure}")
        for member, offset in offsets.items():
            yield _equal(f"FIELD_OFFSET({structure}, {member})", offset, f"{structure}.{member}")
    parameters = "FIELD_OFFSET(IO_STACK_LOCATION, Parameters)"
    for ours, (theirs, members) in SAME_AS_IRP.items():
        for member in members:
            yield (
                f"_Static_assert(FIELD_OFFSET(FLT_PARAMETERS, {ours}.{member}) == "
                f"FIELD_OFFSET(IO_STACK_LOCATION, Parameters.{theirs}.{member}) - {parameters}, "
                f'"FLT_PARAMETERS.{ours}.{member} and IO_STACK_LOCATION");'
            )


def _metadata_assertions(metadata: Metadata) -> Iterator[str]:
    for name, structure in metadata.structures.items():
        if structure.size is not None:
            yield _equal(f"sizeof({name})", structure.size, f"size of {name} (metadata)")
        for member, offset in structure.offsets.items():
            yield _equal(f"FIELD_OFFSET({name}, {member})", offset, f"{name}.{member} (metadata)")
    for name, value in metadata.constants.items():
        if not name.startswith("GUID_"):
            yield _equal(f"(ULONG)({name})", value, f"{name} (metadata)")
    for function in sorted(metadata.functions):
        yield f'_Static_assert(sizeof(&{function}) == 8, "{function} (metadata)");'


def assertions(metadata: Metadata | None) -> str:
    """The C source whose compilation is the check."""
    lines = ["#include <fltkernel.h>", "#include <fltlab.h>"]
    lines += [*_event_assertions(), *_number_assertions(), *_structure_assertions()]
    if metadata is not None:
        lines += _metadata_assertions(metadata)
    return "\n".join(lines) + "\n"


def check_layout(toolchain: Toolchain, include: Path, stamps: Path) -> None:
    """Raise ConfigurationError naming each disagreement; what was checked once is not checked again.

    `include` holds fltkernel.h and fltlab.h; `stamps` is a directory of the build's own.
    """
    stamp = stamps / _digest(toolchain, include)
    if stamp.exists():
        return
    metadata = read_metadata()
    if metadata is not None:
        missing = sorted(metadata.functions ^ import_list("fltmgr", include))
        if missing:
            raise ConfigurationError("fltmgr.def and Microsoft's metadata name different exports", details=(*missing,))
    source = assertions(metadata)
    with tempfile.TemporaryDirectory(prefix="fltlab-layout-") as directory:
        file = Path(directory) / "layout.c"
        file.write_text(source, encoding="utf-8")
        toolchain.compile(Compilation(file, file.with_suffix(".obj"), file.parent, (include,)))
    stamps.mkdir(parents=True, exist_ok=True)
    stamp.touch()


def _digest(toolchain: Toolchain, include: Path) -> str:
    """All that a check depends on, without reading the metadata, which takes longer than to compile a driver."""
    digest = hashlib.sha256((assertions(None) + toolchain.version + metadata_version()).encode())
    ours = (Path(__file__), Path(metadata_module.__file__))
    for file in (*ours, *sorted(include.glob("*.h")), include / "fltmgr.def"):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:32]
