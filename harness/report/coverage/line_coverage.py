"""What ran, in lines: the hits of each line, the ways that its jumps went, and the calls of each function.

A line was hit as often as the most frequent of its instructions; a line with an inlined call is the caller's and the
inlined function's. What several drivers, tests and guests ran of one file is added up. A branch is a conditional jump
of the machine code, which the compiler may have made of less or more than one condition.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.guest.dump.symbols import Frame
from harness.report.coverage.code_map import Instruction


@dataclass
class Ran:
    """What has run of one image, in any number of guests; offsets are from its begin."""

    steps: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """By how much more or less often the code from an offset on has run than what is before it."""
    ways: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By the end of a block, how often it went on right behind it, and elsewhere."""

    def add(self, spans: Iterable[Sequence[int]], ends: Iterable[Sequence[int]]) -> None:
        """Take what a kernel says (harness/wire/kernel.py, ImageCoverage)."""
        for begin, end, times in spans:
            self.steps[begin] += times
            self.steps[end] -= times
        for end, behind, elsewhere in ends:
            before = self.ways.get(end, (0, 0))
            self.ways[end] = (before[0] + behind, before[1] + elsewhere)

    def times(self, code: Sequence[Instruction]) -> Iterator[int]:
        """How often each of these instructions, in order of their addresses, has run."""
        steps = iter(sorted(self.steps.items()))
        step, times, last, before = next(steps, None), 0, 0, None
        for one in code:
            while step is not None and step[0] <= one.offset:
                times, step = times + step[1], next(steps, None)
            # A block that is longer than the processor takes in at once is told without its rest.
            carried = before is not None and before.falls_through and before.end == one.offset
            last = max(times, last) if carried else times
            before = one
            yield last


@dataclass
class SourceFile:
    """One file of source. `lines` has the hits of those with code, `functions` the first line and the calls of each.

    `branches` has the jumps of a line in the order of the code: how often not taken, and taken; None for one that was
    never reached.
    """

    name: str
    path: Path | None
    """Where it is on this machine, if it is."""
    lines: dict[int, int] = field(default_factory=dict)
    functions: dict[str, tuple[int, int]] = field(default_factory=dict)
    branches: dict[int, list[tuple[int, int] | None]] = field(default_factory=dict)

    @property
    def lines_hit(self) -> int:
        """How many of its lines ran."""
        return sum(hits > 0 for hits in self.lines.values())

    @property
    def ways(self) -> list[int | None]:
        """How often each way of each jump was gone, line by line; None where the jump was never reached."""
        jumps = (jump for line in sorted(self.branches) for jump in self.branches[line])
        return [way for jump in jumps for way in (jump or (None, None))]

    @property
    def ways_gone(self) -> int:
        """How many of them were gone."""
        return sum(bool(way) for way in self.ways)

    def merge(self, other: "SourceFile") -> None:
        """Add what another driver ran of the same file."""
        for line, hits in other.lines.items():
            self.lines[line] = self.lines.get(line, 0) + hits
        for name, (line, calls) in other.functions.items():
            self.functions[name] = (line, self.functions.get(name, (0, 0))[1] + calls)
        for line, jumps in other.branches.items():
            mine = self.branches.setdefault(line, [])
            mine += [None] * (len(jumps) - len(mine))
            for place, jump in enumerate(jumps):
                mine[place] = _both(mine[place], jump)


def lines_of(code: Sequence[Instruction], ran: Ran, root: Path) -> dict[str, SourceFile]:
    """The files that an image was made of, by name; `root` is where its driver lies.

    Where its sources are at hand, what comes from elsewhere (the headers of a kit) is left out.
    """
    files: dict[str, SourceFile] = {}
    places: dict[str, Path | None] = {}

    def file_of(frame: Frame) -> SourceFile:
        if frame.file not in places:
            places[frame.file] = find_source(frame.file, root)
        path = places[frame.file]
        name = str(path) if path is not None else frame.file
        return files.setdefault(name, SourceFile(name, path))

    for one, times in zip(code, ran.times(code), strict=True):
        for frame in one.frames:
            if frame.line and frame.file:
                lines = file_of(frame).lines
                lines[frame.line] = max(lines.get(frame.line, 0), times)
        first, inner = one.frames[0], one.frames[-1]
        if first.line and first.file:
            file_of(first).functions.setdefault(first.function, (first.line, times))
        if one.is_branch and inner.line and inner.file:
            jump = ran.ways.get(one.end) if times else None
            file_of(inner).branches.setdefault(inner.line, []).append(jump)
    own = {name: file for name, file in files.items() if file.path is not None}
    return own or files


def merged(every: Iterable[Mapping[str, SourceFile]]) -> list[SourceFile]:
    """The files of several drivers, by name."""
    found: dict[str, SourceFile] = {}
    for files in every:
        for name, file in files.items():
            found.setdefault(name, SourceFile(name, file.path)).merge(file)
    return [found[name] for name in sorted(found)]


def find_source(name: str, root: Path) -> Path | None:
    """A file as a PDB names it, from the root of a tree that the driver is in; None where it is not at hand."""
    directory = root.resolve()
    parts = name.replace("\\", "/").split("/")
    if Path(name).is_absolute():  # of this machine; what is far from the driver is a header of the toolchain
        return Path(name) if Path(name).is_relative_to(directory.parent) and Path(name).is_file() else None
    # A driver that was built elsewhere names a path of that machine: its end is looked for here.
    tails = ["/".join(parts[at:]) for at in range(len(parts)) if parts[at] and ":" not in parts[at]]
    for tail in tails:
        for above in (directory, *directory.parents[:-1]) if "/" in tail else (directory,):
            if (above / tail).is_file():
                return above / tail
    return None


def _both(one: tuple[int, int] | None, other: tuple[int, int] | None) -> tuple[int, int] | None:
    if one is None or other is None:
        return one or other
    return one[0] + other[0], one[1] + other[1]
