"""Coverage in the format of lcov's tracefiles: what geninfo(1) documents under FILES, and genhtml and editors read."""

from collections.abc import Iterable, Iterator

from harness.report.coverage.line_coverage import SourceFile


def lcov(files: Iterable[SourceFile], test: str = "fltlab") -> str:
    """A tracefile; the name of a test may only have letters, digits and underscores."""
    return "".join(f"{line}\n" for file in files for line in _record(file, test))


def _record(file: SourceFile, test: str) -> Iterator[str]:
    yield f"TN:{test}"
    yield f"SF:{file.name}"
    functions = sorted(file.functions.items(), key=lambda item: (item[1][0], item[0]))
    yield from (f"FN:{line},{name}" for name, (line, _) in functions)
    yield from (f"FNDA:{calls},{name}" for name, (_, calls) in functions)
    yield f"FNF:{len(functions)}"
    yield f"FNH:{sum(calls > 0 for _, (_, calls) in functions)}"
    for line, jumps in sorted(file.branches.items()):
        for block, jump in enumerate(jumps):
            for branch, times in enumerate(jump or ("-", "-")):
                yield f"BRDA:{line},{block},{branch},{times}"
    yield f"BRF:{len(file.ways)}"
    yield f"BRH:{file.ways_gone}"
    yield from (f"DA:{line},{hits}" for line, hits in sorted(file.lines.items()))
    yield f"LF:{len(file.lines)}"
    yield f"LH:{file.lines_hit}"
    yield "end_of_record"
