"""Paths of the coordinator's machine as they are on a worker's, and back: in arguments, options and what tests say."""

import json
from collections.abc import Mapping
from typing import Any


class Translation:
    """Directories there, each with where its content is here."""

    def __init__(self, here_of: Mapping[str, str]) -> None:
        self._pairs = sorted(here_of.items(), key=lambda pair: -len(pair[0]))
        back = sorted(
            ((here, there) for there, here in here_of.items() if here != there), key=lambda pair: -len(pair[0])
        )
        self._back = [(json.dumps(here)[1:-1], json.dumps(there)[1:-1]) for here, there in back]

    def path(self, there: str) -> str:
        """A path, or a test below it (`path::name`); one in none of the directories stays as it is."""
        for directory, here in self._pairs:
            if there == directory or there.startswith((f"{directory}/", f"{directory}::")):
                return here + there.removeprefix(directory)
        return there

    def word(self, word: str) -> str:
        """A word of a command line: a path, or `--option=path`, or `name=path`."""
        return "=".join(self.path(part) for part in word.split("="))

    def value(self, value: Any) -> Any:
        """The value of an option."""
        if isinstance(value, str):
            return self.word(value)
        return [self.word(one) for one in value] if isinstance(value, list) else value

    def back(self, line: str) -> str:
        """A line of JSON from here with the paths that its reader knows."""
        for here, there in self._back:
            line = line.replace(here, there)
        return line
