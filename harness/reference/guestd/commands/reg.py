"""reg: add, query and delete keys and values below HKLM."""

from harness.reference.guestd.commands.table import Invocation, command
from harness.reference.guestd.guest_registry import TYPES, NoSuchKey, Value, encoded
from harness.reference.guestd.kernel_process import KernelRefused
from harness.wire.registry_edits import EditRegistry

DONE = "The operation completed successfully."
REFUSED = "ERROR: Access is denied."
MISSING = "ERROR: The system was unable to find the specified registry key or value."


class Usage(Exception):
    """The words are not what reg takes."""


def _options(words: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    position = 0
    while position < len(words):
        name = words[position].lower()
        if name in ("/f", "/ve", "/s", "/va"):
            options[name] = ""
        elif name in ("/v", "/t", "/d", "/s:") and position + 1 < len(words):
            position += 1
            options[name] = words[position]
        else:
            raise Usage(f"ERROR: Invalid syntax: {words[position]}")
        position += 1
    return options


def _parse(kind: str, data: str) -> Value:
    if kind in ("REG_DWORD", "REG_QWORD"):
        try:
            number = int(data, 0)
        except ValueError:
            raise Usage(f"ERROR: Invalid syntax. {data} is no number.") from None
        return number & (0xFFFFFFFF if kind == "REG_DWORD" else 0xFFFFFFFFFFFFFFFF)
    if kind == "REG_MULTI_SZ":
        return [part for part in data.split("\\0") if part]
    if kind == "REG_BINARY":
        try:
            return bytes.fromhex(data)
        except ValueError:
            raise Usage(f"ERROR: Invalid syntax. {data} is no binary data.") from None
    return data


def _shown(kind: str, value: Value) -> str:
    if isinstance(value, list):
        return "\\0".join(value)
    if isinstance(value, bytes):
        return value.hex().upper()
    return f"0x{value:x}" if isinstance(value, int) else value


@command("reg")
def reg(call: Invocation) -> int:
    """Run one reg operation."""
    words = list(call.words[1:])
    if len(words) < 2 or words[0].lower() not in ("add", "query", "delete"):
        call.err("ERROR: Invalid syntax.\nType 'REG /?' for usage.")
        return 1
    try:
        options = _options(words[2:])
        return {"add": _add, "query": _query, "delete": _delete}[words[0].lower()](call, words[1], options)
    except Usage as usage:
        call.err(str(usage))
    except NoSuchKey:
        call.err(MISSING)
    except KernelRefused:  # by a driver's registry callback
        call.err(REFUSED)
    return 1


def _add(call: Invocation, key: str, options: dict[str, str]) -> int:
    name = "" if "/ve" in options else options.get("/v")
    registry = call.guest.registry
    if name is None:
        if not call.guest.edit_registry(EditRegistry(registry.below_machine(key))):
            registry.key(key, create=True)
    else:
        kind = options.get("/t", "REG_SZ").upper()
        if kind not in TYPES:
            raise Usage(f"ERROR: Invalid syntax. {kind} is no type.")
        value = _parse(kind, options.get("/d", ""))
        edit = EditRegistry(registry.below_machine(key), name, kind, encoded(kind, value))
        if not call.guest.edit_registry(edit):
            registry.set(key, name, kind, value)
    call.out(DONE)
    return 0


def _query(call: Invocation, key: str, options: dict[str, str]) -> int:
    wanted = options.get("/v")
    for name, found in call.guest.registry.walk(key):
        if wanted is not None:
            found.get(wanted)
        call.out(f"\n{name}")
        for value_name, kind, value in found.values.values():
            if wanted is None or value_name.casefold() == wanted.casefold():
                call.out(f"    {value_name or '(Default)'}    {kind}    {_shown(kind, value)}")
        if "/s" not in options:
            for child in found.keys.values():
                call.out(f"{name}\\{child.name}")
            break
    call.out("")
    return 0


def _delete(call: Invocation, key: str, options: dict[str, str]) -> int:
    registry, name = call.guest.registry, options.get("/v")
    found = registry.key(key)
    if name is not None:
        found.get(name)
    if not call.guest.edit_registry(EditRegistry(registry.below_machine(key), name, delete=True)):
        registry.delete(key, name)
    call.out(DONE)
    return 0
