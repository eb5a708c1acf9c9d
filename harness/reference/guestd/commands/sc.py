"""sc: the service database, which is a part of the registry."""

from harness.nt.hresult import WIN32_MESSAGES
from harness.reference.guestd.commands import fltmc
from harness.reference.guestd.commands.table import Invocation, command
from harness.reference.guestd.guest_registry import SERVICES, NoSuchKey, Value
from harness.reference.guestd.kernel_process import KernelRefused
from harness.wire import kernel as wire

TYPES = {"kernel": 1, "filesys": 2}
STARTS = {"boot": 0, "system": 1, "auto": 2, "demand": 3, "disabled": 4}
ERRORS = {"ignore": 0, "normal": 1, "severe": 2, "critical": 3}


def _failed(call: Invocation, what: str, code: int) -> int:
    call.out(f"[SC] {what} FAILED {code}:\n\n{WIN32_MESSAGES[code]}\n")
    return code


def _options(words: list[str]) -> dict[str, str]:
    """`type= filesys start= demand`, also written `type=filesys`."""
    options: dict[str, str] = {}
    pending = ""
    for word in words:
        if pending:
            options[pending], pending = word, ""
        elif word.endswith("="):
            pending = word[:-1].lower()
        else:
            name, _, value = word.partition("=")
            options[name.lower()] = value
    return options


@command("sc")
def sc(call: Invocation) -> int:
    """Run one sc operation."""
    words = list(call.words[1:])
    operations = {"create": _create, "delete": _delete, "query": _query, "qc": _qc, "start": _start, "stop": _stop}
    if len(words) < 2 or words[0].lower() not in operations:
        call.out("ERROR:  Unrecognized command\n\nUSAGE:  sc [create|delete|query|qc|start|stop] [service name] ...")
        return 1639
    return operations[words[0].lower()](call, words[1], _options(words[2:]))


def _create(call: Invocation, name: str, options: dict[str, str]) -> int:
    path = options.get("binpath")
    kind, start, error = (
        table.get(options.get(key, default).lower())
        for key, table, default in (("type", TYPES, "kernel"), ("start", STARTS, "demand"), ("error", ERRORS, "normal"))
    )
    if not path or kind is None or start is None or error is None:
        return _failed(call, "CreateService", 87)
    try:
        call.guest.registry.service(name).get("ImagePath")
    except NoSuchKey:
        key = f"{SERVICES}\\{name}"
        values: list[tuple[str, str, Value]] = [
            ("Type", "REG_DWORD", kind),
            ("Start", "REG_DWORD", start),
            ("ErrorControl", "REG_DWORD", error),
            ("ImagePath", "REG_EXPAND_SZ", path),
            ("DisplayName", "REG_SZ", options.get("displayname", name)),
        ]
        if options.get("group"):
            values.append(("Group", "REG_SZ", options["group"]))
        if options.get("depend"):
            values.append(("DependOnService", "REG_MULTI_SZ", options["depend"].split("/")))
        for value_name, value_type, value in values:
            call.guest.registry.set(key, value_name, value_type, value)
        call.out("[SC] CreateService SUCCESS")
        return 0
    return _failed(call, "CreateService", 1073)


def _delete(call: Invocation, name: str, options: dict[str, str]) -> int:
    try:
        call.guest.registry.delete(f"{SERVICES}\\{name}")
    except NoSuchKey:
        return _failed(call, "OpenService", 1060)
    call.out("[SC] DeleteService SUCCESS")
    return 0


def _state(call: Invocation, name: str) -> str:
    loaded = call.guest.kernel.ask(wire.ListDrivers(), wire.Drivers).drivers
    running = name.casefold() in (service.casefold() for service in loaded)
    return "4  RUNNING" if running else "1  STOPPED"


def _query(call: Invocation, name: str, options: dict[str, str]) -> int:
    try:
        kind = str(call.guest.registry.service(name).get("Type"))
    except NoSuchKey:
        call.out(f"[SC] EnumQueryServicesStatus:OpenService FAILED 1060:\n\n{WIN32_MESSAGES[1060]}\n")
        return 1060
    words = {1: "KERNEL_DRIVER", 2: "FILE_SYSTEM_DRIVER"}
    call.out(f"\nSERVICE_NAME: {name}")
    call.out(f"        TYPE               : {kind}  {words.get(int(kind), '')}")
    call.out(f"        STATE              : {_state(call, name)}")
    call.out("        WIN32_EXIT_CODE    : 0  (0x0)")
    return 0


def _qc(call: Invocation, name: str, options: dict[str, str]) -> int:
    try:
        key = call.guest.registry.service(name)
        kind, start, path = (str(key.get(value)) for value in ("Type", "Start", "ImagePath"))
    except NoSuchKey:
        return _failed(call, "OpenService", 1060)
    call.out(f"[SC] QueryServiceConfig SUCCESS\n\nSERVICE_NAME: {name}")
    call.out(f"        TYPE               : {kind}")
    call.out(f"        START_TYPE         : {start}")
    call.out(f"        BINARY_PATH_NAME   : {path}")
    return 0


def _start(call: Invocation, name: str, options: dict[str, str]) -> int:
    try:
        fltmc.load_service(call, name)
    except fltmc.Refused as refused:
        code = refused.hresult & 0xFFFF if refused.hresult >> 16 == 0x8007 else 1
        call.out(f"[SC] StartService FAILED {code}:\n\n{refused}\n")
        return code
    call.out(f"\nSERVICE_NAME: {name}\n        STATE              : 4  RUNNING")
    return 0


def _stop(call: Invocation, name: str, options: dict[str, str]) -> int:
    if _state(call, name).startswith("1"):
        return _failed(call, "ControlService", 1062)
    try:
        call.guest.ask_kernel(wire.Unload(name, mandatory=True))
    except KernelRefused as error:
        refused = fltmc.refusal(error)
        call.out(f"[SC] ControlService FAILED 1052:\n\n{refused}\n")
        return 1052
    # A driver stays for as long as one of its devices is open.
    state = "3  STOP_PENDING" if _state(call, name).startswith("4") else "1  STOPPED"
    call.out(f"\nSERVICE_NAME: {name}\n        STATE              : {state}")
    return 0
