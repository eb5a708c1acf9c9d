"""Headers that the kit's trace preprocessors make from a driver's sources: WPP's .tmh, the message compiler's .h.

The programs that make them come with Visual Studio. Here they are made of what the sources and manifests name: WPP's
functions do nothing, as on a system where nobody traces, and a provider of ETW events is registered and unregistered
by its real calls, so that one that is forgotten at unload is seen. A header that lies beside the sources is left alone.
"""

import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath

from harness.errors import ConfigurationError

_TEXTS = frozenset({".c", ".cpp", ".cc", ".cxx", ".h", ".hpp", ".hxx", ".inl", ".ini", ".wpp"})
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)[">]', re.MULTILINE)
_CONFIGURATION = re.compile(r"begin_wpp\s+config(.*?)end_wpp", re.DOTALL | re.IGNORECASE)
_FUNCTION = re.compile(r"\bFUNC\s+([A-Za-z_]\w*)")
_LISTED = re.compile(r"(?:^|;)\s*([A-Za-z_]\w*)")
_KNOWN = ("DoTraceMessage", "WPP_INIT_TRACING", "WPP_CLEANUP", "WPP_SYSTEMCONTROL", "WPP_SYSTEMCONTROL2")
"""What every .tmh has."""
_ASKED = ("WPP_LEVEL_ENABLED", "WPP_FLAG_ENABLED", "WPP_LEVEL_FLAGS_ENABLED", "WPP_FLAGS_LEVEL_ENABLED")
"""What asks whether somebody traces."""


def write_trace_headers(
    folder: Path, sources: Sequence[Path], include: Sequence[Path], functions: str = ""
) -> Path | None:
    """Write the headers that `sources` include and nobody has; the directory of them, or None if there are none.

    `include` are the directories that the author's headers lie in; `functions` names WPP's functions of a project
    (`TraceEvents(LEVEL,FLAGS,MSG,...);…`). Raises ConfigurationError for a manifest that cannot be read.
    """
    directories = list(dict.fromkeys([*(source.parent for source in sources), *include]))
    texts = {file: file.read_text(encoding="utf-8", errors="replace") for file in _texts(sources, directories)}
    wanted = {PureWindowsPath(name).name for text in texts.values() for name in _INCLUDE.findall(text)}
    there = {path.name.lower() for directory in directories if directory.is_dir() for path in directory.iterdir()}
    missing = sorted(name for name in wanted if name.lower() not in there)
    manifests = {file.stem.lower(): file for directory in directories for file in directory.glob("*.[mM][aA][nN]")}
    made: dict[str, str] = {}
    for name in missing:
        if name.lower().endswith(".tmh"):
            made[name] = _tmh([*_functions(texts.values()), *_LISTED.findall(functions)])
        elif name.lower().endswith(".h") and name[:-2].lower() in manifests:
            made[name] = _events(manifests[name[:-2].lower()])
    return _write(folder, made) if made else None


def _texts(sources: Sequence[Path], directories: Sequence[Path]) -> Iterator[Path]:
    yield from sources
    for directory in directories:
        for path in sorted(directory.iterdir()) if directory.is_dir() else ():
            if path.suffix.lower() in _TEXTS and path.is_file() and path not in sources:
                yield path


def _functions(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for block in _CONFIGURATION.findall(text):
            yield from _FUNCTION.findall(block)


def _macros(macros: Mapping[str, str]) -> str:
    return "".join(f"#undef {name}\n#define {name}(...) {value}\n" for name, value in macros.items())


def _tmh(functions: Sequence[str]) -> str:
    return "/* WPP: nobody traces. */\n" + _macros(
        {**dict.fromkeys([*_KNOWN, *functions], "((void)0)"), **dict.fromkeys(_ASKED, "0")}
    )


def _events(manifest: Path) -> str:
    """What the message compiler makes of an instrumentation manifest, for the kernel (`mc -km`)."""
    try:
        root = ET.fromstring(manifest.read_bytes())  # noqa: S314 - expat of Python 3.11 resolves no external entity
    except (OSError, ET.ParseError) as error:
        raise ConfigurationError(f"{manifest} is no instrumentation manifest", details=(str(error),)) from error
    text = f"/* The providers and events of {manifest.name}: nobody traces. */\n#pragma once\n"
    for provider in _named(root, "provider"):
        name = re.sub(r"\W", "_", provider.get("name", ""))
        numbers = re.findall(r"[0-9A-Fa-f]{2}", provider.get("guid", ""))
        if not name or len(numbers) != 16:
            raise ConfigurationError(f"{manifest} has a provider without a name and a guid")
        first, second, third = ("0x" + "".join(numbers[a:b]) for a, b in ((0, 4), (4, 6), (6, 8)))
        guid = f"{{{first}, {second}, {third}, {{{', '.join('0x' + number for number in numbers[8:])}}}}}"
        handle = f"{name}Handle"
        text += (
            f"__declspec(selectany) GUID {provider.get('symbol') or name} = {guid};\n"
            f"__declspec(selectany) REGHANDLE {handle} = 0;\n"
            f"#define EventRegister{name}() "
            f"({handle} ? STATUS_SUCCESS : EtwRegister(&{provider.get('symbol') or name}, NULL, NULL, &{handle}))\n"
            f"#define EventUnregister{name}() ({handle} ? EtwUnregister({handle}) : STATUS_SUCCESS, {handle} = 0)\n"
        )
        for symbol in (event.get("symbol") for event in _named(provider, "event")):
            if symbol:
                text += _macros({f"EventWrite{symbol}": "((ULONG)0)", f"EventEnabled{symbol}": "FALSE"})
    return text


def _named(root: ET.Element, tag: str) -> Iterator[ET.Element]:
    return (element for element in root.iter() if element.tag.rpartition("}")[2] == tag)


def _write(folder: Path, made: Mapping[str, str]) -> Path:
    """Write the headers into a directory that is named by them."""
    target = folder / hashlib.sha256(repr(sorted(made.items())).encode()).hexdigest()[:24]
    target.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        path = target / name
        if not path.is_file():
            temporary = path.with_name(f"{name}.tmp")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
    return target
