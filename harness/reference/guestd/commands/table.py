"""The table of commands: a name, without extension, and the function that runs it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.reference.guestd.guest import Guest
from harness.reference.guestd.shells import Command


@dataclass
class Invocation:
    """One command of a chain: its words (the command itself first), the text they were cut from, where it runs."""

    words: Sequence[str]
    text: str
    guest: Guest
    command: Command

    def out(self, text: str) -> None:
        """Write a line to standard output."""
        self.command.out(text + "\n")

    def err(self, text: str) -> None:
        """Write a line to standard error."""
        self.command.err(text + "\n")

    @property
    def rest(self) -> str:
        """The text behind the command's own word."""
        parts = self.text.split(None, 1)
        return parts[1] if len(parts) > 1 else ""


CommandFunction = Callable[[Invocation], int]
COMMANDS: dict[str, CommandFunction] = {}


def command(*names: str) -> Callable[[CommandFunction], CommandFunction]:
    """Register a function for these names; its result is the exit code."""

    def register(function: CommandFunction) -> CommandFunction:
        for name in names:
            COMMANDS[name] = function
        return function

    return register
