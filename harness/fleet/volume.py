"""`volume`: the data volume V: of the guest, and the files a test wants to find on it.

The files are made by fltprobe itself, by steps that run before it connects to any minifilter: connecting clears the
rings, so that the trace of a test begins with its own operations. They are written past the cache, so that nothing is
left for the lazy writer to write in the middle of the test.
"""

from dataclasses import dataclass, field

SECTOR = 4096


@dataclass
class Volume:
    """The volume the stack is attached to."""

    letter: str = "V:"
    _steps: list[str] = field(default_factory=list)

    def path(self, name: str) -> str:
        r"""The path of a file in the volume's root, e.g. `V:\data.bin`."""
        return rf"{self.letter}\{name}"

    def file(self, name: str, length: int, fill: int = 0) -> str:
        """Have a file of `length` bytes, each of them `fill`, made before the next I/O; returns its path.

        `length` is a multiple of 4096, since the file is written past the cache.
        """
        if length % SECTOR:
            raise ValueError(f"{length} is no multiple of {SECTOR}")
        path, handle = self.path(name), f"prepare{len(self._steps)}"
        self._steps += [
            f'open {handle} "{path}" access=write disposition=overwrite-if options=noncached',
            f"write {handle} offset=0 length={length} fill=0x{fill:02X}",
            f"close {handle}",
        ]
        return path

    def take_steps(self) -> list[str]:
        """The steps that make the files asked for since the last call."""
        steps, self._steps = self._steps, []
        return steps
