"""Minifilters of the stack: attaching, loading, waiting for what they hold or record. Rules are `lab.<label>.when`."""

from harness.minifilter.script_words import Major, PhaseWord
from harness.minifilter.steps.script_step import Named, ScriptStep, line, plain


def filter(label: str, port: str | None = None, *, prints: bool = False) -> ScriptStep:
    """Connect to a minifilter's control port; `lab` has done it for those of the stack."""
    return line("filter", label, *([port] if port is not None else []), plain=plain(prints=prints))


def debug_print(label: Named) -> ScriptStep:
    """Have the minifilter print two known lines."""
    return line("debug-print", label)


def release(label: Named, *, rule: int | None = None) -> ScriptStep:
    """Let go what the minifilter holds, of one rule or all; `information` is how many operations."""
    return line("release", label, rule=rule)


def expect_held(label: Named, *, count: int, timeout: int | None = None) -> ScriptStep:
    """Wait until the minifilter holds so many; TIMEOUT when it does not in so many ms (5000 by itself)."""
    return line("expect-held", label, count=count, timeout=timeout)


def expect_events(
    label: Named,
    *,
    count: int,
    major: Major | None = None,
    phase: PhaseWord | None = None,
    timeout: int | None = None,
) -> ScriptStep:
    """Wait until the minifilter has recorded so many callbacks."""
    return line("expect-events", label, count=count, major=major, phase=phase, timeout=timeout)


def attach(
    label: Named, *, volume: str | None = None, service: str | None = None, instance: str | None = None
) -> ScriptStep:
    """FilterAttach."""
    return line("attach", label, volume=volume, service=service, instance=instance)


def detach(
    label: Named, *, volume: str | None = None, service: str | None = None, instance: str | None = None
) -> ScriptStep:
    """FilterDetach."""
    return line("detach", label, volume=volume, service=service, instance=instance)


def load(service: str) -> ScriptStep:
    """FilterLoad."""
    return line("load", service)


def unload(service: str) -> ScriptStep:
    """FilterUnload."""
    return line("unload", service)


def stop(service: str) -> ScriptStep:
    """NtUnloadDriver, which is what the service controller does for `sc stop`: a mandatory unload."""
    return line("stop", service)
