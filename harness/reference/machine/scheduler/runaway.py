"""Verdicts on guest code that does not come back."""

from harness.reference.machine.stop import HangKind, HangStop


def calls_for_ever(where: str) -> HangStop:
    """It calls the kernel again and again; `where` is a place in an image, or its name, or nothing known."""
    return HangStop(
        HangKind.RUNAWAY,
        f"guest code{f' at {where}' if where else ''} runs for ever: it calls the kernel again and again,"
        " and never waits, ends or returns",
        driver=where.partition("+")[0] or None,
    )


def loops_for_ever(where: str, image: str | None, instructions: int) -> HangStop:
    """It does not call: not for long, and then not in so many instructions."""
    return HangStop(
        HangKind.RUNAWAY,
        f"guest code at {where} runs for ever: it has not called for long, and then not in {instructions:,}"
        " instructions",
        driver=image,
    )
