"""What a command in a guest came to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CommandResult:
    """One command that has ended, and what it printed."""

    command: str
    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        """Whether the exit code is 0."""
        return self.exit_code == 0

    @property
    def output(self) -> str:
        """Standard output as text, lines ended as here."""
        return _text(self.stdout)

    @property
    def errors(self) -> str:
        """Standard error as text, lines ended as here."""
        return _text(self.stderr)

    def describe(self, lines: int = 20) -> tuple[str, ...]:
        """The command, its exit code and the last lines it printed, for the details of an error."""
        printed = [line.rstrip() for line in (self.output + self.errors).splitlines() if line.strip()]
        return (
            f"command: {shorten(self.command)}",
            f"exit code: {self.exit_code} (0x{self.exit_code & 0xFFFFFFFF:X})",
            *(f"| {line}" for line in printed[-lines:]),
        )


def shorten(command: str, length: int = 400) -> str:
    """A command on one line of bounded length, for messages."""
    line = " ".join(command.split())
    return line if len(line) <= length else f"{line[:length]}… ({len(line)} characters)"


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("cp437")
    return text.replace("\r\n", "\n")
