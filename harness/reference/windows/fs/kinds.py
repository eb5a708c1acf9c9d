"""Kinds of file systems: what NTFS has and FAT32, exFAT and ReFS have not, and the statuses that say so.

One store is behind all of them; a kind is what of it can be reached. Sources: the published FastFat sample for what FAT
answers, and the table "file system functionality comparison" of the Windows documentation for the rest.
"""

from collections.abc import Collection
from dataclasses import dataclass

from harness.nt import NtStatus
from harness.reference.windows.io.constants import FileInformationClass as File
from harness.reference.windows.io.constants import FsInformationClass as Volume

_CASE_SENSITIVE_SEARCH, _CASE_PRESERVED_NAMES, _UNICODE_ON_DISK, _PERSISTENT_ACLS = 0x1, 0x2, 0x4, 0x8
_FILE_COMPRESSION, _SPARSE_FILES, _REPARSE_POINTS, _POSIX_UNLINK_RENAME, _OBJECT_IDS = 0x10, 0x40, 0x80, 0x400, 0x1_0000
_NAMED_STREAMS, _HARD_LINKS, _EXTENDED_ATTRIBUTES, _OPEN_BY_FILE_ID = 0x4_0000, 0x40_0000, 0x80_0000, 0x100_0000


@dataclass(frozen=True, slots=True)
class Limits:
    """What a kind refuses. Information classes and control codes are those that it answers."""

    query: Collection[int]
    set: Collection[int]
    directory: Collection[int]
    volume: Collection[int]
    controls: Collection[int] | None = None
    """None for all but `no_controls`."""
    no_controls: Collection[int] = ()
    unknown_class: int = int(NtStatus.INVALID_PARAMETER)
    no_eas: int = int(NtStatus.EAS_NOT_SUPPORTED)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file system."""

    name: str
    """As FileFsAttributeInformation and fltmc tell it."""
    type: int
    """FLT_FSTYPE_*."""
    driver: str
    control_device: str
    attributes: int
    """FileSystemAttributes of FileFsAttributeInformation."""
    limits: Limits | None = None
    """None: nothing of what there is here is refused."""
    plain: bool = False
    """No streams, file ids, security or change times."""
    largest: int = 0x0000_0FFF_FFFF_0000
    """The largest size of a file, in bytes."""
    longest_label: int = 32

    def __repr__(self) -> str:
        return f"<Kind {self.name}>"


_ALL_CONTROLS_OF_FAT = frozenset(
    {
        0x90000, 0x90004, 0x90008, 0x9000C, 0x90010, 0x90014, 0x90050, 0x9005C, 0x90240,  # oplocks
        0x90018, 0x9001C, 0x90020, 0x90028, 0x9002C, 0x90030, 0x90078,  # lock, dismount, mounted, valid, dirty
        0x90073, 0x90083, 0x900FC,  # GET_RETRIEVAL_POINTERS, ALLOW_EXTENDED_DASD_IO, MARK_HANDLE
    }
)  # fmt: skip
_QUERIES_OF_FAT = frozenset(
    {
        File.ALL, File.BASIC, File.STANDARD, File.INTERNAL, File.EA, File.POSITION, File.NAME, File.NORMALIZED_NAME,
        File.ALTERNATE_NAME, File.NETWORK_OPEN,
        File.ACCESS, File.MODE, File.ALIGNMENT, File.IS_REMOTE_DEVICE, File.VOLUME_NAME,  # the I/O manager's own
    }
)  # fmt: skip
_SETS_OF_FAT = frozenset(
    {
        File.BASIC, File.DISPOSITION, File.POSITION, File.ALLOCATION, File.END_OF_FILE, File.RENAME,
        File.VALID_DATA_LENGTH,
    }
)  # fmt: skip
_LISTINGS_OF_FAT = frozenset(
    {File.DIRECTORY, File.FULL_DIRECTORY, File.ID_FULL_DIRECTORY, File.NAMES, File.BOTH_DIRECTORY,
     File.ID_BOTH_DIRECTORY}
)  # fmt: skip
_VOLUME_QUERIES_OF_FAT = frozenset(
    {Volume.VOLUME, Volume.SIZE, Volume.DEVICE, Volume.ATTRIBUTE, Volume.FULL_SIZE, Volume.SECTOR_SIZE}
)
_FAT = Limits(_QUERIES_OF_FAT, _SETS_OF_FAT, _LISTINGS_OF_FAT, _VOLUME_QUERIES_OF_FAT, _ALL_CONTROLS_OF_FAT)
_EXFAT = Limits(
    _QUERIES_OF_FAT, _SETS_OF_FAT, _LISTINGS_OF_FAT, _VOLUME_QUERIES_OF_FAT, _ALL_CONTROLS_OF_FAT,
    no_eas=int(NtStatus.INVALID_DEVICE_REQUEST),
)  # fmt: skip
_REFS = Limits(
    query=frozenset(File),
    set=frozenset(File),
    directory=frozenset(File),
    volume=frozenset(Volume) - {Volume.CONTROL, Volume.OBJECT_ID},
    # object ids, NTFS volume data, compression
    no_controls=frozenset({0x90098, 0x9009C, 0x900A0, 0x900BC, 0x900C0, 0x90064, 0x9C040}),
)
_OF_NTFS = (
    _CASE_SENSITIVE_SEARCH | _CASE_PRESERVED_NAMES | _UNICODE_ON_DISK | _PERSISTENT_ACLS | _SPARSE_FILES
    | _REPARSE_POINTS | _POSIX_UNLINK_RENAME | _OBJECT_IDS | _NAMED_STREAMS | _HARD_LINKS | _EXTENDED_ATTRIBUTES
    | _OPEN_BY_FILE_ID | _FILE_COMPRESSION
)  # fmt: skip
_4_GIB = 0x1_0000_0000

NTFS = Kind("NTFS", 2, r"\FileSystem\Ntfs", r"\Ntfs", _OF_NTFS)
FAT32 = Kind(
    "FAT32", 3, r"\FileSystem\fastfat", r"\Fat", _CASE_PRESERVED_NAMES | _UNICODE_ON_DISK, _FAT,
    plain=True, largest=_4_GIB - 1, longest_label=11,
)  # fmt: skip
EXFAT = Kind(
    "exFAT", 22, r"\FileSystem\exfat", r"\ExFat", _CASE_PRESERVED_NAMES | _UNICODE_ON_DISK, _EXFAT,
    plain=True, longest_label=11,
)  # fmt: skip
REFS = Kind(
    "ReFS",
    28,
    r"\FileSystem\ReFS",
    r"\ReFS",
    _OF_NTFS & ~(_FILE_COMPRESSION | _OBJECT_IDS | _EXTENDED_ATTRIBUTES),
    _REFS,
)
KINDS = {kind.name.lower(): kind for kind in (NTFS, REFS, EXFAT, FAT32)}
"""By the names that `--filesystem` takes."""
