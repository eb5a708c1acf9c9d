"""A reader of x64 PE images: headers, sections, imports, relocations, function table, load configuration.

Small and quick because it runs at every load inside an emulated guest, where a full parse by pefile costs half a
second a driver. Everything read is checked against the image's bounds: a damaged file is an `InvalidImageError`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct, error, unpack_from

_DOS_E_LFANEW = 0x3C
_MACHINE_AMD64 = 0x8664
_PE32_PLUS = 0x20B
_OPTIONAL = Struct("<HBBIIIIIQIIHHHHHHIIIIHHQQQQII")
_SECTION = Struct("<8sIIIIIIHHI")
_IMPORT = Struct("<IIIII")
_EXPORT_COUNTS = Struct("<IIII")  # NumberOfNames, then the RVAs of functions, names, ordinals
_RUNTIME_FUNCTION = Struct("<III")
_RELOCATIONS_STRIPPED = 0x0001
_RELOC_ABSOLUTE, _RELOC_DIR64 = 0, 10
_ORDINAL = 1 << 63

DIRECTORY_EXPORT, DIRECTORY_IMPORT, DIRECTORY_EXCEPTION, DIRECTORY_RELOC, DIRECTORY_LOAD_CONFIG = 0, 1, 3, 5, 10

SCN_DISCARDABLE = 0x02000000
SCN_EXECUTE = 0x20000000
SCN_READ = 0x40000000
SCN_WRITE = 0x80000000

SUBSYSTEM_NATIVE = 1
_PAGE = 0x1000
_MOST_SECTIONS = 96  # what the loader of Windows takes


class InvalidImageError(Exception):
    """The file is no image this kernel can load."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section."""

    name: str
    address: int
    size: int
    raw_offset: int
    raw_size: int
    characteristics: int

    @property
    def executable(self) -> bool:
        return bool(self.characteristics & SCN_EXECUTE)

    @property
    def writable(self) -> bool:
        return bool(self.characteristics & SCN_WRITE)

    @property
    def discardable(self) -> bool:
        return bool(self.characteristics & SCN_DISCARDABLE)

    @property
    def pageable(self) -> bool:
        """By name, as the Windows loader has it: PAGE, PAGExxxx, and .edata and the like are not."""
        return self.name.startswith("PAGE")


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name. `slot` is the RVA of its import-address-table entry."""

    module: str
    name: str
    slot: int


@dataclass(frozen=True, slots=True)
class LoadConfig:
    """The pointers of the load configuration that a loader fills in, as virtual addresses in the file; 0 if absent."""

    security_cookie: int = 0
    cf_check: int = 0
    cf_dispatch: int = 0
    xfg_check: int = 0
    xfg_dispatch: int = 0
    xfg_table_dispatch: int = 0


class PortableExecutable:
    """A parsed image file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        try:
            self._parse()
        except (error, IndexError) as problem:
            raise InvalidImageError(f"the file ends in the midst of its headers ({problem})") from None
        self.mapped = self._map()

    def _parse(self) -> None:
        data = self.data
        if data[:2] != b"MZ":
            raise InvalidImageError("no MZ header: not a Windows image")
        (pe,) = unpack_from("<I", data, _DOS_E_LFANEW)
        if data[pe : pe + 4] != b"PE\0\0":
            raise InvalidImageError("no PE header: not a Windows image")
        machine, sections, _, _, _, optional_size, self.characteristics = unpack_from("<HHIIIHH", data, pe + 4)
        if machine != _MACHINE_AMD64:
            raise InvalidImageError(f"machine type 0x{machine:04X}: only x64 (0x8664) images can be loaded")
        optional = pe + 24
        fields = _OPTIONAL.unpack_from(data, optional)
        if fields[0] != _PE32_PLUS:
            raise InvalidImageError("not a PE32+ image")
        self.entry_point: int = fields[6]
        self.image_base: int = fields[8]
        self.section_alignment: int = fields[9]
        self.size: int = fields[17 + 1]
        self.headers_size: int = fields[19]
        self.checksum: int = fields[20]
        self.subsystem: int = fields[21]
        directories: int = fields[28]
        self._directories = [
            unpack_from("<II", data, optional + _OPTIONAL.size + 8 * index) for index in range(min(directories, 16))
        ]
        table = optional + optional_size
        self.sections = [self._section(table + index * _SECTION.size) for index in range(sections)]
        if not 0 < self.size <= 1 << 28 or self.section_alignment < 0x1000:
            raise InvalidImageError(f"unusable image size 0x{self.size:X} or alignment 0x{self.section_alignment:X}")
        self._require_sound_sections()

    def _require_sound_sections(self) -> None:
        """Sections lie on pages of their own, in ascending order, above the headers; the entry point is code."""
        if not self.sections or len(self.sections) > _MOST_SECTIONS:
            raise InvalidImageError(f"it has {len(self.sections)} sections")
        end = max(self.headers_size, 1)
        for section in self.sections:
            if section.address % _PAGE or section.size == 0:
                raise InvalidImageError(f"section {section.name} has no page of its own, or no size")
            if section.address < end:
                raise InvalidImageError(f"section {section.name} lies over what is before it")
            end = section.address + section.size
        entry = self.entry_point
        if entry and not any(s.executable and s.address <= entry < s.address + s.size for s in self.sections):
            raise InvalidImageError(f"the entry point, RVA 0x{entry:X}, is in no code")

    def _section(self, offset: int) -> Section:
        name, virtual_size, address, raw_size, raw_offset, _, _, _, _, characteristics = _SECTION.unpack_from(
            self.data, offset
        )
        section = Section(
            name.rstrip(b"\0").decode("ascii", "replace"),
            address,
            virtual_size or raw_size,
            raw_offset,
            raw_size,
            characteristics,
        )
        if section.address + section.size > self.size or raw_offset + min(raw_size, section.size) > len(self.data):
            raise InvalidImageError(f"section {section.name} lies outside of the image or the file")
        return section

    def _map(self) -> bytearray:
        """The image as it lies in memory at its preferred base."""
        image = bytearray(self.size)
        image[: self.headers_size] = self.data[: self.headers_size]
        for section in self.sections:
            count = min(section.raw_size, section.size)
            image[section.address : section.address + count] = self.data[
                section.raw_offset : section.raw_offset + count
            ]
        if len(image) != self.size:
            raise InvalidImageError("headers larger than the image")
        return image

    def directory(self, index: int) -> tuple[int, int]:
        """RVA and size of a data directory; (0, 0) if absent."""
        address, size = self._directories[index] if index < len(self._directories) else (0, 0)
        if address + size > self.size:
            raise InvalidImageError(f"data directory {index} lies outside of the image")
        return address, size

    def _string(self, address: int) -> str:
        end = self.mapped.find(0, address)
        if not 0 < address < self.size or end < 0:
            raise InvalidImageError(f"a string at RVA 0x{address:X} lies outside of the image")
        return self.mapped[address:end].decode("ascii", "replace")

    def imports(self) -> Iterator[Import]:
        """Every imported name."""
        table, size = self.directory(DIRECTORY_IMPORT)
        if not size:
            return
        while True:
            names, _, _, module, slots = self._unpack(_IMPORT, table)
            if not module:
                return
            library = self._string(module)
            for entry in range(self.size // 8):
                value = self._u64((names or slots) + 8 * entry)
                if not value:
                    break
                if value & _ORDINAL:
                    raise InvalidImageError(f"{library} is imported by ordinal {value & 0xFFFF}; names only are known")
                if slots + 8 * entry + 8 > self.size:
                    raise InvalidImageError(f"the imports from {library} lie outside of the image")
                yield Import(library, self._string((value & 0x7FFF_FFFF) + 2), slots + 8 * entry)
            table += _IMPORT.size

    def exports(self) -> dict[str, int]:
        """Exported names and their RVAs."""
        table, size = self.directory(DIRECTORY_EXPORT)
        if not size:
            return {}
        count, functions, names, ordinals = self._unpack(_EXPORT_COUNTS, table + 24)
        found = {}
        for index in range(count):
            (name,) = unpack_from("<I", self.mapped, names + 4 * index)
            (ordinal,) = unpack_from("<H", self.mapped, ordinals + 2 * index)
            (address,) = unpack_from("<I", self.mapped, functions + 4 * ordinal)
            found[self._string(name)] = address
        return found

    @property
    def stripped(self) -> bool:
        """Whether it says that its relocations have been taken away."""
        return bool(self.characteristics & _RELOCATIONS_STRIPPED)

    def relocations(self) -> Iterator[int]:
        """RVAs of the 64-bit addresses that move with the image."""
        at, size = self.directory(DIRECTORY_RELOC)
        end = at + size
        while at + 8 <= end:
            page, block = unpack_from("<II", self.mapped, at)
            if block < 8 or at + block > end:
                raise InvalidImageError("a damaged relocation block")
            for entry in unpack_from(f"<{(block - 8) // 2}H", self.mapped, at + 8):
                kind = entry >> 12
                if kind == _RELOC_DIR64:
                    address = page + (entry & 0xFFF)
                    if address + 8 > self.size:
                        raise InvalidImageError("a relocation outside of the image")
                    yield address
                elif kind != _RELOC_ABSOLUTE:
                    raise InvalidImageError(f"relocation type {kind} is not known on x64")
            at += block

    def functions(self) -> list[tuple[int, int, int]]:
        """The function table: (begin, end, unwind information), sorted, as RVAs."""
        table, size = self.directory(DIRECTORY_EXCEPTION)
        count = size // _RUNTIME_FUNCTION.size
        entries = [_RUNTIME_FUNCTION.unpack_from(self.mapped, table + 12 * index) for index in range(count)]
        functions = [(begin, end, unwind) for begin, end, unwind in entries]
        if functions != sorted(functions):
            raise InvalidImageError("the function table is not sorted")
        if any(not 0 < begin < end <= self.size or not 0 < unwind <= self.size - 4 for begin, end, unwind in functions):
            raise InvalidImageError("the function table names what lies outside of the image")
        return functions

    def load_config(self) -> LoadConfig:
        """The load configuration's pointers."""
        table, size = self.directory(DIRECTORY_LOAD_CONFIG)
        if not size:
            return LoadConfig()
        size = min(max(size, self._u32(table)), self.size - table)

        def field(offset: int) -> int:
            return self._u64(table + offset) if offset + 8 <= size else 0

        return LoadConfig(field(0x58), field(0x70), field(0x78), field(0x118), field(0x120), field(0x128))

    def _unpack(self, layout: Struct, address: int) -> tuple[int, ...]:
        if address + layout.size > self.size:
            raise InvalidImageError(f"a structure at RVA 0x{address:X} lies outside of the image")
        return layout.unpack_from(self.mapped, address)

    def _u32(self, address: int) -> int:
        return self._unpack(Struct("<I"), address)[0]

    def _u64(self, address: int) -> int:
        return self._unpack(Struct("<Q"), address)[0]
