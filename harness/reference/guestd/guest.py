"""The guest as commands see it: drives, registry, the reference kernel, and who this boot is."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.reference.guestd.configuration import Configuration
from harness.reference.guestd.guest_registry import NoSuchKey, Registry
from harness.reference.guestd.kernel_process import KernelGone, KernelProcess, Nursery
from harness.reference.guestd.paths import BadPath, Drives
from harness.reference.guestd.shells import Command
from harness.wire import kernel as wire
from harness.wire import programs
from harness.wire.registry_edits import EditRegistry
from harness.wire.schedule import GoBack

_Running = wire.Load | wire.Unload | wire.Run | programs.Start | programs.Look | programs.Await | programs.End
"""What drivers and programs run in."""
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
        self._told: tuple[KernelProcess, int] | None = None
        """Which kernel knows the registry, in which version."""
        self._registry_watched = False
        """A driver has a registry callback."""
        self._followers: list[Command] = []
        """Commands that follow a program in the background."""

    @property
    def kernel(self) -> KernelProcess:
        """The reference kernel, started when first asked for. One that has died stays dead until `restart_kernel`."""
        with self._lock:
            if self._kernel is None:
                self._kernel = self._started()
            return self._kernel

    def _started(self) -> KernelProcess:
        """A new kernel; where the process that starts kernels has died, from another one."""
        options = self._with_volumes()
        try:
            return KernelProcess(self._nursery, self.drives.root("V"), options)
        except KernelGone:
            self._nursery.stop()
            self._nursery = Nursery()
            return KernelProcess(self._nursery, self.drives.root("V"), options)

    def _with_volumes(self) -> list[str]:
        """The kernel's options with the directories of C: and of the data volumes that they name, `--data W:fat32`."""
        options = list(self._options)
        for at, word in enumerate(options[:-1], start=1):
            if word == "--data":
                letter, _, kind = options[at].partition(":")
                place = self.drives.add(letter.upper())
                options[at] = f"{letter}:={place}" + (f",{kind}" if kind else "")
        return [*options, "--system", str(self.drives.root("C"))]

    def restart_kernel(self, options: Sequence[str]) -> None:
        """Start the kernel anew with these options, loaded with nothing: what a reboot is on Windows."""
        with self._lock:
            if self._kernel is not None:
                self._kernel.stop()
            self._options = tuple(options)
            self._kernel = None
            self._registry_watched = False

    def go_back(self, asked: GoBack) -> None:
        """Have the kernel go back to the point that it keeps: it knows the registry as it was then."""
        with self._lock:
            self.kernel.ask(asked, wire.Done)
            self._told = None

    def stop(self) -> None:
        """End the kernel's process, and the one that it was forked from."""
        with self._lock:
            if self._kernel is not None:
                self._kernel.stop()
                self._kernel = None
            self._nursery.stop()

    def ask_kernel(
        self,
        request: EditRegistry
        | wire.Load
        | wire.Unload
        | wire.Run
        | programs.Start
        | programs.Look
        | programs.Await
        | programs.End,
    ) -> Any:
        """Ask the kernel for what drivers may use the registry in: they see it as it is now, and what they write stays.

        Everything that `KernelProcess.ask` raises. Who follows a program in the background is told afterwards.
        """
        with self._lock:
            kernel = self.kernel
            told = (kernel, self.registry.version)
            if told != self._told:
                kernel.ask(wire.SetRegistry(self.registry.as_message(), self._images()), wire.Done)
                self._told = told
        result: type[Any] = request.RESULT
        try:
            answer = kernel.ask(request, result)
        finally:
            if not isinstance(request, programs.Look):
                for follower in list(self._followers):
                    follower.nudge()
        if isinstance(answer, wire.Done):
            self._registry_watched = answer.registry_watched
        if answer.registry_changed:
            with self._lock:
                self.registry.take(kernel.ask(wire.GetRegistry(), wire.RegistryKey))
                self._told = (kernel, self.registry.version)
        return answer

    def edit_registry(self, edit: EditRegistry) -> bool:
        """Have the kernel change the registry, if a driver wants to be told before; False if none does.

        KernelRefused: a driver has refused it.
        """
        if self._registry_watched:
            self.ask_kernel(edit)
        return self._registry_watched

    @contextlib.contextmanager
    def awaiting_kernel(self, command: Command) -> Iterator[None]:
        """Nudge a command whenever the kernel has run."""
        self._followers.append(command)
        try:
            yield
        finally:
            self._followers.remove(command)

    def _images(self) -> dict[str, str]:
        """The file of every service's image."""
        found = {}
        for name in self.registry.services():
            with contextlib.suppress(NoSuchKey, BadPath):  # a key without an image is no driver's
                found[name] = str(self.image_of(name))
        return found

    def image_of(self, service: str) -> Path:
        """The file of a service's image. NoSuchKey or BadPath if there is none."""
        return self.drives.local(str(self.registry.service(service).get("ImagePath")))
