"""Lists of extra create parameters (ECPs): what rides on a create beside its parameters, each known by a GUID."""

from dataclasses import dataclass, field


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
