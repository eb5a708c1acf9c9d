"""The guest as commands see it: drives, registry, the reference kernel, and who this boot is."""

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.reference.guestd.configuration import Configuration
from harness.reference.guestd.kernel_process import KernelGone, KernelProcess, Nursery
from harness.reference.guestd.paths import BadPath, Drives
from harness.reference.guestd.registry import NoSuchKey, Registry

SYSTEM_ROOT = "C:\\Windows"


class Guest:
    """One reference guest."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.drives = Drives(configuration.system, configuration.volume)
        self.registry = Registry(configuration.system / "registry.json")
        self.certificates: list[str] = []
        self._lock = threading.RLock()
        self._options: tuple[str, ...] = tuple(configuration.kernel)
        self._nursery = Nursery()
        self._kernel: KernelProcess | None = None

    @property
    def kernel(self) -> KernelProcess:
        """The reference kernel, started when first asked for. One that has died stays dead until `restart_kernel`."""
        with self._lock:
            if self._kernel is None:
                self._kernel = self._started()
            return self._kernel

    def _started(self) -> KernelProcess:
        """A new kernel; where the process that starts kernels has died, from another one."""
        try:
            return KernelProcess(self._nursery, self.drives.root("V"), self._options)
        except KernelGone:
            self._nursery.stop()
            self._nursery = Nursery()
            return KernelProcess(self._nursery, self.drives.root("V"), self._options)

    def restart_kernel(self, options: Sequence[str]) -> None:
        """Start the kernel anew with these options, loaded with nothing: what a reboot is on Windows."""
        with self._lock:
            if self._kernel is not None:
                self._kernel.stop()
            self._options = tuple(options)
            self._kernel = None

    def stop(self) -> None:
        """End the kernel's process, and the one that it was forked from."""
        with self._lock:
            if self._kernel is not None:
                self._kernel.stop()
                self._kernel = None
            self._nursery.stop()

    def service_tree(self, service: str) -> dict[str, Any]:
        """The key of a service as the kernel takes it. NoSuchKey if there is none."""
        return self.registry.service(service).as_tree()

    def services(self) -> dict[str, Any]:
        """Every service with an image, as the kernel is told of them."""
        found = {}
        for name, tree in self.registry.services().items():
            with contextlib.suppress(NoSuchKey, BadPath):  # a key without an image is no driver's
                found[name] = {"image": str(self.image_of(name)), "registry": tree}
        return found

    def image_of(self, service: str) -> Path:
        """The file of a service's image. NoSuchKey or BadPath if there is none."""
        return self.drives.local(str(self.registry.service(service).get("ImagePath")))
