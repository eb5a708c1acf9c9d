"""Counting which code of drivers runs, for whoever asks a kernel's process for it."""

from harness.nt import NtStatus
from harness.reference.machine.cpu.block_counter import ImageCounters
from harness.reference.machine.loader.images import Image
from harness.reference.process.refusal import RefusedError
from harness.reference.windows.kernel import Kernel
from harness.wire import kernel as wire


def count_drivers(system: Kernel) -> ImageCounters:
    """Count what runs of every driver that is loaded from now on."""
    counters = ImageCounters(system.emulator.count_blocks)

    def loaded(image: Image) -> None:
        if not image.user:
            counters.watch(image.name, image.base, image.size)

    system.probes.loaded.connect(loaded)
    return counters


def take_coverage(counters: ImageCounters | None, _: wire.TakeCoverage) -> wire.Coverage:
    """What has run since this was asked last, also of a kernel that has stopped."""
    found = required(counters).take()
    return wire.Coverage(
        tuple(wire.ImageCoverage(name, one.spans, one.ends) for name, every in found.items() for one in every)
    )


def required(counters: ImageCounters | None) -> ImageCounters:
    """The counters of a kernel that was started to count. RefusedError if it was not."""
    if counters is None:
        raise RefusedError(int(NtStatus.NOT_SUPPORTED), "this kernel was started without --coverage")
    return counters
