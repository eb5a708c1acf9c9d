"""What the answer to one step of a script says, in named parts: so that two of them are compared part by part.

What differs between any two runs, whoever filters, is no part: addresses, times (only whether there is one), the ids
of files and objects, and how much room the volume has.
"""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence

from harness.minifilter.probe import Step
from harness.nt import nt_success, status_name

Parts = dict[str, str]
"""Name of a part -> what is said to people of it. Equal words are equal facts."""

_TIMES = ("creation time", "last access time", "last write time", "change time")
_NOT_COMPARED = frozenset({0x900C0, 0x9009C, 0x90064})
"""FSCTLs whose data is another in every run: object ids, and how full the volume is."""
_ENTRY = {
    # class of a listing: offset of the name's length, of the name, of the size, of the attributes
    "directory": (60, 64, 40, 56),
    "full": (60, 68, 40, 56),
    "both": (60, 94, 40, 56),
    "id-both": (60, 104, 40, 56),
    "id-full": (60, 80, 40, 56),
    "names": (8, 12, None, None),
}


def parts_of(words: Sequence[str], step: Step) -> Parts:
    """The parts of a step's answer; `words` are those of its line, without `spawn <name>`."""
    parts = {"status": status_name(step.status)}
    if step.outstanding:
        return {"status": "it does not end"}
    if any(word.startswith("async=") for word in words[2:]) and nt_success(step.status):
        return {"status": "accepted"}  # at once or pended: what became of it, its `wait` says
    if not nt_success(step.status):
        return parts
    verb, options = words[0], dict(word.split("=", 1) for word in words if "=" in word)
    known = _READERS.get(verb)
    read = known(options, step) if known is not None else None
    if read is None:
        parts["information"] = str(step.information)
        if step.digest:
            parts["data"] = f"{step.data[:16].hex(' ')}{'…' if step.information > 16 else ''} ({step.digest:016x})"
    else:
        parts.update(read)
    return parts


def _query(options: Mapping[str, str], step: Step) -> Parts | None:
    reader = _CLASSES.get(options.get("class", ""))
    return reader(step.data) if reader is not None else None


def _basic(data: bytes) -> Parts:
    *times, attributes = struct.unpack_from("<4qI", data)
    return {**_times(times), "attributes": f"0x{attributes:X}"}


def _times(times: Sequence[int]) -> Parts:
    return {name: "set" if value else "none" for name, value in zip(_TIMES, times, strict=True)}


def _standard(data: bytes) -> Parts:
    allocation, end, links, deleted, directory = struct.unpack_from("<qqI??", data)
    return {
        "allocation size": str(allocation),
        "end of file": str(end),
        "links": str(links),
        "delete pending": str(deleted),
        "directory": str(directory),
    }


def _network_open(data: bytes) -> Parts:
    *times, allocation, end, attributes = struct.unpack_from("<6qI", data)
    return {
        **_times(times),
        "allocation size": str(allocation),
        "end of file": str(end),
        "attributes": f"0x{attributes:X}",
    }


def _all(data: bytes) -> Parts:
    """FILE_ALL_INFORMATION: basic, standard, id, EA size, access, position, mode, alignment, name."""
    ea, access, position, mode, alignment, length = struct.unpack_from("<IIqIII", data, 72)
    name = data[100 : 100 + length].decode("utf-16-le", "replace")
    return {
        **_basic(data),
        **_standard(data[40:]),
        "EA size": str(ea),
        "access": f"0x{access:X}",
        "position": str(position),
        "mode": f"0x{mode:X}",
        "alignment": str(alignment),
        "name": name,
    }


def _nothing(_: bytes) -> Parts:
    return {}


def _streams(data: bytes) -> Parts:
    found: Parts = {}
    for entry in _chain(data):
        length, size = struct.unpack_from("<Iq", entry, 4)
        found[f"stream {entry[24 : 24 + length].decode('utf-16-le', 'replace')}"] = f"{size} bytes"
    return found


def _links(data: bytes) -> Parts:
    count = struct.unpack_from("<I", data, 4)[0]
    found = {"links": str(count)}
    for entry in _chain(data[8:]):
        length = struct.unpack_from("<I", entry, 16)[0]
        found[f"link {entry[20 : 20 + 2 * length].decode('utf-16-le', 'replace')}"] = "there"
    return found


def _directory(options: Mapping[str, str], step: Step) -> Parts:
    return {
        f"entry {name}": "there" if size is None else f"{size} bytes, attributes 0x{attributes:X}"
        for name, size, attributes in entries(step.data, options.get("class", "names"))
        if name != ".."
    }


def entries(data: bytes, kind: str) -> Iterator[tuple[str, int | None, int]]:
    """The entries of a listing: name, end of file (None where the class has none), attributes."""
    at_length, at_name, at_size, at_attributes = _ENTRY[kind]
    for entry in _chain(data):
        if len(entry) < at_name:
            return
        length = struct.unpack_from("<I", entry, at_length)[0]
        size = struct.unpack_from("<q", entry, at_size)[0] if at_size is not None else None
        attributes = struct.unpack_from("<I", entry, at_attributes)[0] if at_attributes is not None else 0
        if attributes & 0x10:
            size = 0
        yield entry[at_name : at_name + length].decode("utf-16-le", "replace"), size, attributes


def _chain(data: bytes) -> Iterator[bytes]:
    """The entries of a list in which each says where the next begins."""
    at = 0
    while at + 8 <= len(data):
        following = struct.unpack_from("<I", data, at)[0]
        yield data[at : at + following] if following else data[at:]
        if not following:
            return
        at += following


def _query_path(options: Mapping[str, str], step: Step) -> Parts:
    del options
    return _network_open(step.data)


def _query_volume(options: Mapping[str, str], step: Step) -> Parts | None:
    match options.get("class"):
        case "size":
            _, _, sectors, size = struct.unpack_from("<qqII", step.data)
        case "full-size":
            *_, sectors, size = struct.unpack_from("<qqqII", step.data)
        case "volume":
            length = struct.unpack_from("<I", step.data, 12)[0]
            return {"label": step.data[18 : 18 + length].decode("utf-16-le", "replace")}
        case _:
            return None
    return {"sectors of a cluster": str(sectors), "bytes of a sector": str(size)}


def _open(options: Mapping[str, str], step: Step) -> Parts:
    del options
    became = ("superseded", "opened", "created", "overwritten", "exists", "does not exist")
    return {"became": became[step.information] if step.information < len(became) else str(step.information)}


def _fsctl(options: Mapping[str, str], step: Step) -> Parts | None:
    code = int(options.get("code", "0"), 0)
    return {"information": str(step.information)} if code in _NOT_COMPARED else None


_CLASSES: Mapping[str, Callable[[bytes], Parts]] = {
    "basic": _basic,
    "standard": _standard,
    "network-open": _network_open,
    "all": _all,
    "internal": _nothing,
    "id": _nothing,
    "stream": _streams,
    "hard-link": _links,
}
_READERS: Mapping[str, Callable[[Mapping[str, str], Step], Parts | None]] = {
    "open": _open,
    "open-by-id": _open,
    "query": _query,
    "query-path": _query_path,
    "query-volume": _query_volume,
    "directory": _directory,
    "fsctl": _fsctl,
}
