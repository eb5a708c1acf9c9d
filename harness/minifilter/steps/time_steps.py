"""Waiting, threads, and events that scripts share."""

from harness.minifilter.steps.script_step import Named, ScriptStep, line


def wait(operation: Named, *, timeout: int | None = None) -> ScriptStep:
    """Wait for an asynchronous operation or a spawned step, and tell its result; TIMEOUT after so many ms."""
    return line("wait", operation, timeout=timeout)


def sleep(milliseconds: int) -> ScriptStep:
    """Let time pass: virtual time on a reference guest."""
    return line("sleep", str(milliseconds))


def spawn(operation: str, step: ScriptStep) -> ScriptStep:
    """Run a step in a thread of its own; `wait(operation)` waits for its end."""
    return ScriptStep(f"spawn {operation} {step.text}", operation)


def deadline(milliseconds: int) -> ScriptStep:
    """How long each step from here on may take: 10000 at first."""
    return line("deadline", str(milliseconds))


def signal(event: str) -> ScriptStep:
    """Set an event that scripts in several processes share by its name."""
    return line("signal", event)


def await_(event: str, *, timeout: int | None = None) -> ScriptStep:
    """Wait for such an event; TIMEOUT after so many ms."""
    return line("await", event, timeout=timeout)
