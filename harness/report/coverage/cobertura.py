"""Coverage in Cobertura's format, as its coverage-04.dtd has it: what Azure Pipelines, GitLab and Jenkins read."""

import os
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.report.coverage.line_coverage import SourceFile

DOCTYPE = '<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">'


def cobertura(packages: Mapping[str, Sequence[SourceFile]], seconds: int, version: str) -> str:
    """A document: `packages` are the drivers with their files, `seconds` the time since 1970."""
    every = [file for files in packages.values() for file in files]
    root = ET.Element("coverage", {**_rates(every), **_counts(every), "complexity": "0", "version": version})
    root.set("timestamp", str(1000 * seconds))
    base = _common([file.path for file in every if file.path is not None])
    ET.SubElement(ET.SubElement(root, "sources"), "source").text = str(base or ".")
    container = ET.SubElement(root, "packages")
    for name, files in packages.items():
        package = ET.SubElement(container, "package", {"name": name, **_rates(files), "complexity": "0"})
        classes = ET.SubElement(package, "classes")
        for file in files:
            _class(classes, file, base)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{DOCTYPE}\n{ET.tostring(root, encoding="unicode")}\n'


def _class(classes: ET.Element, file: SourceFile, base: Path | None) -> None:
    shown = file.path.relative_to(base).as_posix() if file.path is not None and base is not None else file.name
    facts = {"name": Path(shown).name, "filename": shown, **_rates([file]), "complexity": "0"}
    one = ET.SubElement(classes, "class", facts)
    methods = ET.SubElement(one, "methods")
    for name, (line, calls) in sorted(file.functions.items(), key=lambda item: item[1]):
        rate = str(int(calls > 0))
        facts = {"name": name, "signature": "", "line-rate": rate, "branch-rate": rate, "complexity": "0"}
        lines = ET.SubElement(ET.SubElement(methods, "method", facts), "lines")
        ET.SubElement(lines, "line", {"number": str(line), "hits": str(calls)})
    lines = ET.SubElement(one, "lines")
    for line, hits in sorted(file.lines.items()):
        _line(lines, line, hits, file.branches.get(line, []))


def _line(lines: ET.Element, number: int, hits: int, jumps: Sequence[tuple[int, int] | None]) -> None:
    element = ET.SubElement(lines, "line", {"number": str(number), "hits": str(hits), "branch": "false"})
    if not jumps:
        return
    gone = [sum(map(bool, jump or ())) for jump in jumps]
    element.set("branch", "true")
    element.set("condition-coverage", f"{_percent(sum(gone), 2 * len(jumps))}% ({sum(gone)}/{2 * len(jumps)})")
    conditions = ET.SubElement(element, "conditions")
    for place, ways in enumerate(gone):
        facts = {"number": str(place), "type": "jump", "coverage": f"{_percent(ways, 2)}%"}
        ET.SubElement(conditions, "condition", facts)


def _rates(files: Sequence[SourceFile]) -> dict[str, str]:
    counts = {key: int(value) for key, value in _counts(files).items()}
    return {
        "line-rate": _rate(counts["lines-covered"], counts["lines-valid"]),
        "branch-rate": _rate(counts["branches-covered"], counts["branches-valid"]),
    }


def _counts(files: Sequence[SourceFile]) -> dict[str, str]:
    return {
        "lines-covered": str(sum(file.lines_hit for file in files)),
        "lines-valid": str(sum(len(file.lines) for file in files)),
        "branches-covered": str(sum(file.ways_gone for file in files)),
        "branches-valid": str(sum(len(file.ways) for file in files)),
    }


def _rate(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else "1"


def _percent(part: int, whole: int) -> int:
    return 100 * part // whole


def _common(paths: Sequence[Path]) -> Path | None:
    return Path(os.path.commonpath([path.parent for path in paths])) if paths else None
