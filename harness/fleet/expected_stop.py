"""A bug check that a test expects: what came of it, and whether it is the right one."""

from dataclasses import dataclass, field

from harness.errors import DriverError, TestError
from harness.nt import BugCheck, bugcheck_name
from harness.wire.kernel_state import Stop, StopKind


@dataclass
class ExpectedStop:
    """How the guest went down. `code` is 0 and `driver` None where nobody knows: on Windows the dump has them."""

    message: str = ""
    code: int = 0
    name: str = ""
    driver: str | None = None
    error: DriverError | None = field(default=None, repr=False)

    def told(self, error: DriverError, stop: Stop | None) -> None:
        """Note what the guest ended with; another error of a driver is raised as it is."""
        if stop is None and "bug check" not in error.message:
            raise error
        self.message, self.error = error.message, error
        if stop is not None and stop.kind is StopKind.BUGCHECK:
            self.code, self.name, self.driver = stop.code, stop.name, stop.driver

    def require(self, code: BugCheck | None, driver: str | None) -> None:
        """TestError if there was no bug check, or another."""
        if self.error is None:
            raise TestError("the guest survived, and a bug check was expected")
        wrong = []
        if code is not None and self.code and self.code != code:
            wrong.append(f"bug check {self.name} (0x{self.code:X}), not {bugcheck_name(code)} (0x{int(code):X})")
        if driver is not None and self.driver and self.driver != driver:
            wrong.append(f"in {self.driver}, not in {driver}")
        if wrong:
            raise TestError(
                f"another bug check came than the one expected: {', '.join(wrong)}", details=(self.message,)
            )
