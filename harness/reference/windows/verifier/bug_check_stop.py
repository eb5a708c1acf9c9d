"""A bug check, by which the system stops the machine: a driver broke a rule, called what is missing, or we failed."""

from enum import StrEnum

from harness.nt import BugCheck, bugcheck_name
from harness.reference.machine.stop import MachineStop


class BugCheckKind(StrEnum):
    """Whose fault a bug check is."""

    DRIVER = "bugcheck"
    MISSING_EXPORT = "missing-export"
    KERNEL_FAULT = "kernel-fault"


class BugCheckStop(MachineStop):
    """A bug check."""

    def __init__(
        self,
        code: BugCheck,
        parameters: tuple[int, int, int, int],
        message: str,
        *,
        driver: str | None = None,
        rule: str | None = None,
        kind: BugCheckKind = BugCheckKind.DRIVER,
        location: str | None = None,
        chain: tuple[str, ...] = (),
    ) -> None:
        super().__init__(f"{bugcheck_name(code)} (0x{code:X}) in {driver or 'an undetermined driver'}: {message}")
        self.code = code
        self.parameters = parameters
        self.message = message
        self.driver = driver
        self.rule = rule
        self.kind = kind
        self.location = location
        self.chain = chain
        """The calls that lie on the stack, innermost first."""
