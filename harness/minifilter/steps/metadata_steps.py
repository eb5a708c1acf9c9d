"""Extended attributes, security, quotas, and acting as somebody else."""

from harness.minifilter.script_words import Client, ImpersonationLevel
from harness.minifilter.steps.script_step import Named, ScriptStep, line, plain


def query_ea(file: Named, *, name: str | None = None, single: bool = False, continue_: bool = False) -> ScriptStep:
    """NtQueryEaFile: the attribute of this name, or all; from the first on, unless it is to continue."""
    return line("query-ea", file, name=name, plain=plain(single=single) + (["continue"] if continue_ else []))


def set_ea(file: Named, *, name: str, text: str | None = None) -> ScriptStep:
    """NtSetEaFile; without a text the attribute is removed."""
    return line("set-ea", file, name=name, text=text)


def query_security(file: Named, *, information: int | None = None) -> ScriptStep:
    """NtQuerySecurityObject: owner, group and DACL, unless SECURITY_INFORMATION says otherwise."""
    return line("query-security", file, information=information)


def set_security(file: Named, *, information: int | None = None, data: bytes | None = None) -> ScriptStep:
    """NtSetSecurityObject: the DACL of a self-relative descriptor, or once more what the file has already."""
    return line("set-security", file, information=information, data=data)


def query_quota(file: Named, *, sid: bytes | None = None, single: bool = False, continue_: bool = False) -> ScriptStep:
    """NtQueryQuotaInformationFile: the entry of a SID, or all of the volume."""
    return line("query-quota", file, sid=sid, plain=plain(single=single) + (["continue"] if continue_ else []))


def set_quota(file: Named, *, sid: bytes, limit: int, threshold: int | None = None) -> ScriptStep:
    """NtSetQuotaInformationFile: bytes that a SID may use, and from where on it is warned (the limit by itself)."""
    return line("set-quota", file, sid=sid, limit=limit, threshold=threshold)


def impersonate(client: Client, *, level: ImpersonationLevel | None = None) -> ScriptStep:
    """Have the script's thread act as somebody else until `revert`; spawned steps do not.

    `self`: as the process, by an impersonation token; `standard-user`: the same without what makes it an
    administrator; `anonymous`: NtImpersonateAnonymousToken.
    """
    return line("impersonate", client, level=level)


def revert() -> ScriptStep:
    """Act as the process again."""
    return line("revert")
