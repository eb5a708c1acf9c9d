"""Loading of PE images: relocation, imports, protections, what Windows fills in, and the way out again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import FLTLIB, NTDLL
from harness.reference.machine.loader.images import Image
from harness.reference.machine.loader.patches import find_patches
from harness.reference.machine.loader.pe import DIRECTORY_EXCEPTION, Import, InvalidImageError, PortableExecutable
from harness.reference.machine.memory.layout import IMAGE_ALIGNMENT, IMAGES, PAGE_SIZE, USER_IMAGES, page_align

if TYPE_CHECKING:
    from harness.reference.machine.loader.binding import ExportBinder
    from harness.reference.machine.loader.images import ImageTable
    from harness.reference.machine.memory.memory import Memory

_U64 = Struct("<Q")
SUBSYSTEM_NATIVE = 1
_LIBRARY_MODULES = frozenset(
    f"{name}.dll"
    for name in (
        "kernel32",
        "kernelbase",
        "advapi32",
        "sechost",
        "msvcrt",
        "ucrtbase",
        "vcruntime140",
        "vcruntime140_1",
    )
)
_NO_FRAMES: Mapping[int, Sequence[int]] = MappingProxyType({})
_DEFAULT_SECURITY_COOKIE = 0x2B992DDFA232
_COOKIE_MASK = 0x0000_FFFF_FFFF_FFFF


class LoadError(Exception):
    """An image cannot be loaded; `status` is what Windows would answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(slots=True)
class _KeptProgram:
    """A program that has been loaded before: its image as it lies in memory, and the frames it is to lie in again."""

    image: Image
    content: bytes
    frames: dict[int, list[int]]
    """By address of each mapped range."""
    in_use: bool = True


class Loader:
    """Brings images into guest memory.

    A program that is loaded again gets the addresses and frames it had before: the emulator has its code translated
    then. Drivers never do, so that calls into unloaded code can be named.
    """

    def __init__(
        self,
        memory: "Memory",
        images: "ImageTable",
        exports: "ExportBinder",
        *,
        pageable: bool,
        watch: Callable[[int, int], None],
        loaded: Callable[[Image], None],
    ) -> None:
        """`watch` is told of the ranges of pageable code; it sees to it that none runs at raised IRQL.

        `loaded` is told of every image before any of its code runs.
        """
        self._watch = watch
        self._loaded = loaded
        self._memory = memory
        self._images = images
        self._exports = exports
        self._pageable = pageable
        """Whether pageable sections of drivers go away at raised IRQL."""
        self._next = {False: IMAGES, True: USER_IMAGES}
        self._cookies = count(1)
        self._programs: dict[bytes, _KeptProgram] = {}
        """By digest of the image file."""

    def load(self, name: str, data: bytes, *, user: bool = False, library: Image | None = None) -> Image:
        """Load an image file. Raises `LoadError`, after which nothing of it is left.

        A program finds what is not ntdll's or fltlib's in `library`, whatever module it imports it from.
        """
        digest = blake2b(data).digest() if user and library is None else b""
        kept = self._programs.get(digest)
        if kept is not None and not kept.in_use:
            return self._load_again(kept)
        try:
            file = PortableExecutable(data)
            if not user:
                _require_driver(file)
            functions = file.functions()
            if file.stripped and not user:
                raise LoadError(NtStatus.CONFLICTING_ADDRESSES, f"the relocations of {name} are stripped")
            base = file.image_base if file.stripped else self._place(file.size, user=user)
            image = Image(
                name=name,
                base=base,
                size=page_align(file.size),
                entry_point=base + file.entry_point,
                sections=tuple(file.sections),
                functions=functions,
                function_table=file.directory(DIRECTORY_EXCEPTION)[0],
                exports=file.exports(),
                user=user,
            )
            content = file.mapped
            self._relocate(file, content, base)
            self._bind(file, content, name, library)
            self._fill_in(file, content, base)
            self._patch(file, content, functions)
        except (InvalidImageError, StructError, IndexError, ValueError, OverflowError) as problem:
            raise LoadError(
                NtStatus.INVALID_IMAGE_FORMAT, f"{name} is no image that can be loaded: {problem}"
            ) from None
        self._map(image, content)
        self._images.add(image)
        self._loaded(image)
        if digest and kept is None:
            self._programs[digest] = _KeptProgram(image, bytes(content), self._frames_of(image))
        return image

    def _load_again(self, kept: _KeptProgram) -> Image:
        """Map a program that was unloaded, as fresh as from its file."""
        kept.in_use = True
        kept.image.unloaded = False
        self._images.unloaded.remove(kept.image)
        self._map(kept.image, bytearray(kept.content), kept.frames)
        self._images.add(kept.image)
        return kept.image

    def _frames_of(self, image: Image) -> dict[int, list[int]]:
        memory = self._memory
        ranges = [(image.base, PAGE_SIZE), *((image.base + s.address, s.size) for s in image.sections)]
        return {start: memory.frames(start, size) for start, size in ranges}

    def _place(self, size: int, *, user: bool) -> int:
        base = self._next[user]
        self._next[user] = base + (size + IMAGE_ALIGNMENT) // IMAGE_ALIGNMENT * IMAGE_ALIGNMENT
        return base

    @staticmethod
    def _relocate(file: PortableExecutable, content: bytearray, base: int) -> None:
        delta = base - file.image_base
        for address in file.relocations():
            value = _U64.unpack_from(content, address)[0] + delta
            _U64.pack_into(content, address, value & 0xFFFF_FFFF_FFFF_FFFF)

    def _bind(self, file: PortableExecutable, content: bytearray, name: str, library: Image | None) -> None:
        imports = list(file.imports())
        if library is not None:
            _require_all(imports, name, library, self._exports)
        for imported in imports:
            address = _in_library(imported, library, self._exports)
            if address is None:
                address = self._exports.resolve(imported.module, imported.name)
            if address is None:
                raise LoadError(
                    NtStatus.DRIVER_ENTRYPOINT_NOT_FOUND,
                    f"{name} imports {imported.name} from {imported.module}, which exports no such name",
                )
            _U64.pack_into(content, imported.slot, address)

    def _fill_in(self, file: PortableExecutable, content: bytearray, base: int) -> None:
        """The security cookie and the pointers of control flow guard."""
        config = file.load_config()
        thunks = self._exports.guard_thunks

        def put(pointer: int, value: int) -> None:
            # The load configuration's own pointers have been relocated already.
            offset = pointer - base
            if pointer and 0 <= offset <= len(content) - 8:
                _U64.pack_into(content, offset, value)

        cookie = (_DEFAULT_SECURITY_COOKIE * (2 * next(self._cookies) + 1)) & _COOKIE_MASK
        put(config.security_cookie, cookie)
        put(config.cf_check, thunks.check)
        put(config.cf_dispatch, thunks.dispatch)
        put(config.xfg_check, thunks.check)
        put(config.xfg_dispatch, thunks.dispatch)
        put(config.xfg_table_dispatch, thunks.dispatch)

    @staticmethod
    def _patch(file: PortableExecutable, content: bytearray, functions: list[tuple[int, int, int]]) -> None:
        ranges = [(s.address, s.address + s.size) for s in file.sections if s.executable]
        for patch in find_patches(content, ranges, functions):
            content[patch.address : patch.address + len(patch.code)] = patch.code

    def _map(self, image: Image, content: bytearray, frames: Mapping[int, Sequence[int]] = _NO_FRAMES) -> None:
        """Headers read-only, each section as it asks for. Code in PAGE sections is watched: not at raised IRQL."""
        memory = self._memory
        pageable = self._pageable and not image.user
        content.extend(bytes(image.size - len(content)))
        memory.map(image.base, PAGE_SIZE, user=image.user, writable=False, frames=frames.get(image.base))
        memory.patch_page(image.base, content[:PAGE_SIZE])
        for section in image.sections:
            start = image.base + section.address
            memory.map(
                start,
                section.size,
                writable=section.writable,
                executable=section.executable,
                user=image.user,
                pageable=pageable and section.pageable,
                frames=frames.get(start),
            )
            if pageable and section.pageable and section.executable:
                self._watch(start, start + page_align(section.size))
            for offset in range(0, page_align(section.size), PAGE_SIZE):
                page = section.address + offset
                memory.patch_page(image.base + page, content[page : page + PAGE_SIZE])

    def discard(self, image: Image) -> None:
        """Unmap INIT and other discardable sections, as Windows does once DriverEntry has returned."""
        for section in image.sections:
            if section.discardable and section.name not in (".reloc", ".pdata", ".xdata"):
                start = image.base + section.address
                self._memory.unmap(start, section.size)
                image.discarded.append((start, start + page_align(section.size)))

    def unload(self, image: Image) -> None:
        """Unmap an image. Its addresses are not used again, so that calls into it can be named."""
        memory = self._memory
        kept = next((program for program in self._programs.values() if program.image is image), None)
        if kept is not None:
            kept.in_use = False
        memory.unmap(image.base, PAGE_SIZE, keep_frames=kept is not None)
        for section in image.sections:
            start = image.base + section.address
            if not any(begin <= start < end for begin, end in image.discarded):
                memory.unmap(start, section.size, keep_frames=kept is not None)
        self._images.remove(image)


def _in_library(imported: Import, library: Image | None, exports: "ExportBinder") -> int | None:
    """The address of what a program imports from a DLL that is neither ntdll nor fltlib; None if it has none."""
    if library is None or imported.module.lower() in (NTDLL, FLTLIB):
        return None
    offset = library.exports.get(imported.name)
    if offset is not None and served_by_library(imported.module):
        return library.base + offset
    return exports.resolve(NTDLL, imported.name) if exports.is_implemented(NTDLL, imported.name) else None


def _require_all(imports: Sequence[Import], name: str, library: Image, exports: "ExportBinder") -> None:
    """LoadError with everything that a program imports and that is not here: before anything of it runs."""
    missing = [
        f"{item.module}!{item.name}"
        for item in imports
        if _in_library(item, library, exports) is None and not exports.is_implemented(item.module.lower(), item.name)
    ]
    if missing:
        raise LoadError(
            NtStatus.DRIVER_ENTRYPOINT_NOT_FOUND,
            f"{name} imports {len(missing)} names that a reference guest does not have: {', '.join(missing)}",
        )


def served_by_library(module: str) -> bool:
    """Whether the exports of a DLL are those of the library that stands for kernel32 and its kin."""
    return module.lower() in _LIBRARY_MODULES or module.lower().startswith("api-ms-win-")


def needs_library(data: bytes) -> bool:
    """Whether a program imports anything but ntdll and fltlib; False for what is no image."""
    try:
        return any(item.module.lower() not in (NTDLL, FLTLIB) for item in PortableExecutable(data).imports())
    except (InvalidImageError, StructError, IndexError, ValueError, OverflowError):
        return False


def _require_driver(file: PortableExecutable) -> None:
    if file.subsystem != SUBSYSTEM_NATIVE:
        raise InvalidImageError(f"it is a program (subsystem {file.subsystem}), not a driver")
