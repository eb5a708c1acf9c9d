r"""The steps of an I/O script as functions, one for each: an editor completes them, mypy checks them.

    from fltlab import step

    secret = step.open("secret", r"V:\\secret.txt", access="read")
    first = step.read(secret, offset=0, length=16)
    io = lab.io(secret, first)
    assert io[first].status == NtStatus.SUCCESS

Each is the line of the same name (docs/io-script.md), and says what it makes of its parameters; a `-` is a `_` here,
and what Python has taken ends with one. tests/architecture holds them against the grammar of scripts.
"""

from harness.minifilter.steps.file_steps import (
    cancel,
    cancel_synchronous,
    close,
    delete,
    flush,
    lock,
    open,
    open_by_id,
    read,
    unlock,
    write,
)
from harness.minifilter.steps.information_steps import (
    acknowledge_oplock,
    directory,
    fsctl,
    ioctl,
    notify,
    oplock,
    query,
    query_path,
    query_volume,
    set,
    set_volume,
)
from harness.minifilter.steps.metadata_steps import (
    impersonate,
    query_ea,
    query_quota,
    query_security,
    revert,
    set_ea,
    set_quota,
    set_security,
)
from harness.minifilter.steps.script_step import ScriptStep
from harness.minifilter.steps.section_steps import close_section, map, peek, poke, section, unmap
from harness.minifilter.steps.service_steps import (
    answer,
    connect,
    disconnect,
    expect_messages,
    get_message,
    reply,
    send_message,
    serve,
)
from harness.minifilter.steps.stack_steps import (
    attach,
    debug_print,
    detach,
    expect_events,
    expect_held,
    filter,
    load,
    release,
    stop,
    unload,
)
from harness.minifilter.steps.time_steps import await_, deadline, signal, sleep, spawn, wait

__all__ = [
    "ScriptStep",
    "acknowledge_oplock",
    "answer",
    "attach",
    "await_",
    "cancel",
    "cancel_synchronous",
    "close",
    "close_section",
    "connect",
    "deadline",
    "debug_print",
    "delete",
    "detach",
    "directory",
    "disconnect",
    "expect_events",
    "expect_held",
    "expect_messages",
    "filter",
    "flush",
    "fsctl",
    "get_message",
    "impersonate",
    "ioctl",
    "load",
    "lock",
    "map",
    "notify",
    "open",
    "open_by_id",
    "oplock",
    "peek",
    "poke",
    "query",
    "query_ea",
    "query_path",
    "query_quota",
    "query_security",
    "query_volume",
    "read",
    "release",
    "reply",
    "revert",
    "section",
    "send_message",
    "serve",
    "set",
    "set_ea",
    "set_quota",
    "set_security",
    "set_volume",
    "signal",
    "sleep",
    "spawn",
    "stop",
    "unload",
    "unlock",
    "unmap",
    "wait",
    "write",
]
