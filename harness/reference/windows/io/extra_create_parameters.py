"""Extra create parameters (ECPs): what rides on a create beside its parameters, each known by a GUID, in lists.

Filters, file systems and the I/O manager use the same lists, by the names of Flt or FsRtl.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.nt import BugCheck, NtStatus
from harness.reference.windows.ntos.ex.driver_pool import free

if TYPE_CHECKING:
    from harness.reference.machine.memory.guarded_heap import GuardedHeap
    from harness.reference.windows.io.request import Code
    from harness.reference.windows.ntos.executive import Executive

_LIST_SIZE = 0x20
_TAG = "FMec"


@dataclass(eq=False, slots=True)
class Ecp:
    """One parameter. `address` is the context that drivers are given."""

    address: int
    kind: bytes
    """Its GUID."""
    size: int
    cleanup: int
    """The routine called before it is freed; 0 for none."""
    acknowledged: bool = False
    from_user: bool = False


@dataclass(eq=False, slots=True)
class EcpList:
    """An ECP_LIST."""

    address: int
    parameters: list[Ecp] = field(default_factory=list)

    def find(self, kind: bytes) -> Ecp | None:
        """The parameter of a kind."""
        return next((item for item in self.parameters if item.kind == kind), None)


class ExtraCreateParameters:
    """All lists, and the parameters that are in none."""

    def __init__(self, kernel: "Executive", heap: "GuardedHeap") -> None:
        self._kernel = kernel
        self._heap = heap
        self._lists: dict[int, EcpList] = {}
        self._loose: dict[int, Ecp] = {}

    # -- lists

    def list_at(self, address: int) -> EcpList:
        """The list a driver names; a wrong pointer is a bug check."""
        found = self._lists.get(address)
        if found is None:
            self._kernel.bugcheck(
                BugCheck.FLTMGR_FILE_SYSTEM,
                0,
                address,
                message=f"{address:#x} was given as an ECP_LIST, and is none (any more)",
            )
        return found

    def find(self, ecp_list: int, kind: bytes) -> bytes | None:
        """The content of a create's parameter of a kind, if its list has one. `ecp_list` may be 0."""
        found = self._lists.get(ecp_list)
        item = found.find(kind) if found is not None else None
        return self._kernel.memory.read(item.address, item.size) if item is not None else None

    def allocate_list(self, out: int) -> int:
        """An empty list; NTSTATUS."""
        address = self._allocate(_LIST_SIZE, _TAG)
        self._lists[address] = EcpList(address)
        self._kernel.memory.write_u64(out, address)
        return int(NtStatus.SUCCESS)

    def free_list(self, ecp_list: int) -> "Code":
        """A list and what is in it."""
        found = self.list_at(ecp_list)
        for item in found.parameters:
            yield from self._free(item)
        del self._lists[ecp_list]
        free(self._kernel, ecp_list, None)

    def give_to_create(self, ecp_list: int) -> None:
        """A list is a create's from here on, which frees it, and no driver's: nobody is told to have lost it."""
        for address in (ecp_list, *(item.address for item in self.list_at(ecp_list).parameters)):
            self._belongs(address, None)

    def free_list_if_there(self, ecp_list: int) -> "Code":
        """The same, of one that its owner may have freed meanwhile."""
        if ecp_list in self._lists:
            yield from self.free_list(ecp_list)

    # -- parameters

    def at(self, context: int) -> Ecp | None:
        """A parameter by its context, in a list or not."""
        loose = self._loose.get(context)
        if loose is not None:
            return loose
        return next((item for one in self._lists.values() for item in one.parameters if item.address == context), None)

    def allocate(self, kind: int, size: int, cleanup: int, tag: int, out: int) -> int:
        """A zeroed context of `size` bytes, in no list yet; NTSTATUS."""
        address = self._allocate(size, tag.to_bytes(4, "little").decode("latin-1"))
        self._loose[address] = Ecp(address, self._kernel.memory.read(kind, 16), size, cleanup)
        self._kernel.memory.write_u64(out, address)
        return int(NtStatus.SUCCESS)

    def free(self, context: int) -> "Code":
        """One that is in no list."""
        item = self._loose.pop(context, None)
        if item is None:
            text = f"{context:#x} is freed as an ECP, and is none or in a list"
            self._kernel.verifier.report(None, self._kernel.blame.current().driver, text)
            return
        yield from self._free(item)

    def insert(self, ecp_list: int, context: int) -> int:
        """Into a list that has none of the kind; NTSTATUS."""
        found, item = self.list_at(ecp_list), self._loose.get(context)
        if item is None or found.find(item.kind) is not None:
            return int(NtStatus.INVALID_PARAMETER)
        found.parameters.append(self._loose.pop(context))
        block = self._kernel.pool.block_at(ecp_list)
        self._belongs(context, block.owner if block is not None else None)
        return int(NtStatus.SUCCESS)

    def tell(self, ecp_list: int, kind: int, out: int, size_out: int) -> int:
        """Where a list's parameter of a kind is, and how large; NTSTATUS."""
        return self._tell(self.list_at(ecp_list).find(self._kernel.memory.read(kind, 16)), out, size_out)

    def remove(self, ecp_list: int, kind: int, out: int, size_out: int) -> int:
        """Out of a list: it is the caller's; NTSTATUS."""
        found = self.list_at(ecp_list)
        item = found.find(self._kernel.memory.read(kind, 16))
        if item is not None:
            found.parameters.remove(item)
            self._loose[item.address] = item
            self._belongs(item.address, self._kernel.blame.current().driver)
        return self._tell(item, out, size_out)

    def following(self, ecp_list: int, context: int, kind_out: int, next_out: int, size_out: int) -> int:
        """The one behind a context, or a list's first; NTSTATUS."""
        parameters = self.list_at(ecp_list).parameters
        addresses = [item.address for item in parameters]
        index = addresses.index(context) + 1 if context in addresses else 0
        item = parameters[index] if index < len(parameters) else None
        if item is not None and kind_out:
            self._kernel.memory.write(kind_out, item.kind)
        return self._tell(item, next_out, size_out)

    def acknowledge(self, context: int, *, acknowledged: bool = True) -> None:
        """Whoever attached it sees that it was understood, or it is prepared to be used again."""
        item = self.at(context)
        if item is not None:
            item.acknowledged = acknowledged

    def is_acknowledged(self, context: int) -> bool:
        """Whether somebody below has understood it."""
        item = self.at(context)
        return item is not None and item.acknowledged

    def is_from_user(self, context: int) -> bool:
        """Whether a program has attached it."""
        item = self.at(context)
        return item is not None and item.from_user

    def _tell(self, item: Ecp | None, out: int, size_out: int) -> int:
        memory = self._kernel.memory
        if out:
            memory.write_u64(out, item.address if item is not None else 0)
        if size_out:
            memory.write_u32(size_out, item.size if item is not None else 0)
        return int(NtStatus.SUCCESS if item is not None else NtStatus.NOT_FOUND)

    def _belongs(self, address: int, owner: str | None) -> None:
        block = self._kernel.pool.block_at(address)
        if block is not None:
            block.owner = owner

    def _allocate(self, size: int, tag: str) -> int:
        where = self._kernel.blame.current()
        return self._kernel.pool.allocate(size, tag, paged=True, owner=where.driver, allocated_by=where.address)

    def _free(self, item: Ecp) -> "Code":
        if item.cleanup:
            kind = self._heap.allocate(16)
            self._kernel.memory.write(kind, item.kind)
            yield from self._kernel.kept.call("its ECP cleanup callback", item.cleanup, item.address, kind)
            self._heap.free(kind)
        free(self._kernel, item.address, None)
