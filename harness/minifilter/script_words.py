"""The words that the keys of an I/O script take, as types: editors complete them, mypy and the grammar check them.

fltprobe has the same lists (the tables of drivers/fltprobe); tests/architecture holds the two against each other.
"""

from typing import Literal

Access = Literal[
    "read",
    "write",
    "rw",
    "execute",
    "all",
    "maximum",
    "none",
    "delete",
    "append",
    "attributes",
    "write-attributes",
    "ea",
    "write-ea",
    "list",
    "security",
    "write-security",
    "write-owner",
    "system-security",
]
Share = Literal["none", "read", "write", "delete", "all"]
Disposition = Literal["supersede", "open", "create", "open-if", "overwrite", "overwrite-if"]
Option = Literal[
    "none",
    "directory",
    "write-through",
    "sequential",
    "noncached",
    "non-directory",
    "complete-if-oplocked",
    "no-ea-knowledge",
    "random",
    "delete-on-close",
    "backup",
    "requiring-oplock",
    "reserve-opfilter",
    "open-reparse-point",
    "overlapped",
]
Attribute = Literal["normal", "readonly", "hidden", "system", "archive", "temporary", "offline", "not-content-indexed"]
Change = Literal[
    "file-name",
    "dir-name",
    "attributes",
    "size",
    "last-write",
    "last-access",
    "creation",
    "ea",
    "security",
    "stream-name",
    "stream-size",
    "stream-write",
]
RenameFlag = Literal["none", "replace", "posix", "ignore-readonly"]
OplockLevel = Literal[
    "level-1", "level-2", "batch", "filter", "none", "read", "read-handle", "read-write", "read-write-handle"
]
Protection = Literal[
    "read", "readwrite", "writecopy", "execute", "execute-read", "execute-readwrite", "execute-writecopy"
]
ImpersonationLevel = Literal["anonymous", "identification", "impersonation", "delegation"]
Client = Literal["self", "standard-user", "anonymous"]
QueryClass = Literal[
    "basic",
    "standard",
    "internal",
    "ea",
    "access",
    "name",
    "position",
    "mode",
    "alignment",
    "all",
    "alternate-name",
    "stream",
    "compression",
    "network-open",
    "attribute-tag",
    "hard-link",
    "normalized-name",
    "is-remote-device",
    "standard-link",
    "volume-name",
    "id",
    "stat",
    "case-sensitive",
]
SetClass = Literal[
    "basic",
    "rename",
    "link",
    "disposition",
    "position",
    "mode",
    "allocation",
    "end-of-file",
    "valid-data-length",
    "short-name",
    "disposition-ex",
    "rename-ex",
    "case-sensitive",
    "link-ex",
]
DirectoryClass = Literal["directory", "full", "both", "names", "id-both", "id-full", "id-extd", "id-extd-both"]
VolumeClass = Literal[
    "volume",
    "size",
    "device",
    "attribute",
    "control",
    "full-size",
    "object-id",
    "driver-path",
    "volume-flags",
    "sector-size",
]
SetVolumeClass = Literal["label", "control", "object-id"]
Major = Literal[
    "create",
    "create-named-pipe",
    "close",
    "read",
    "write",
    "query-information",
    "set-information",
    "query-ea",
    "set-ea",
    "flush-buffers",
    "query-volume-information",
    "set-volume-information",
    "directory-control",
    "file-system-control",
    "device-control",
    "internal-device-control",
    "shutdown",
    "lock-control",
    "cleanup",
    "create-mailslot",
    "query-security",
    "set-security",
    "query-quota",
    "set-quota",
    "pnp",
    "acquire-for-section-synchronization",
    "release-for-section-synchronization",
    "acquire-for-mod-write",
    "release-for-mod-write",
    "acquire-for-cc-flush",
    "release-for-cc-flush",
    "query-open",
    "fast-io-check-if-possible",
    "network-query-open",
    "mdl-read",
    "mdl-read-complete",
    "prepare-mdl-write",
    "mdl-write-complete",
    "volume-mount",
    "volume-dismount",
]
PhaseWord = Literal[
    "pre",
    "post",
    "resume-pre",
    "resume-post",
    "work-routine",
    "safe-post",
    "cancel",
    "generated-io",
    "context",
    "instance-setup",
    "query-teardown",
    "teardown-start",
    "teardown-complete",
    "unload",
    "context-cleanup",
]
RuleClass = Literal["irp", "fastio", "fsfilter"]
Action = Literal[
    "no-callback", "with-callback", "synchronize", "complete", "pend", "disallow-fastio", "disallow-fsfilter-io"
]
Mechanism = Literal["deferred", "generic", "queue", "thread"]
Resume = Literal["no-callback", "with-callback", "complete", "synchronize"]
PostAction = Literal["finish", "pend", "when-safe"]
Context = Literal["stream-handle"]
