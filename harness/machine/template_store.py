"""The template store: templates by their keys, shared by all processes of a user, within a size budget."""

import contextlib
import fcntl
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import ConfigurationError, HostError
from harness.host.directories import home, private_directory
from harness.host.disk import free_mib, require_room, used_bytes
from harness.host.leftovers import REMOVED, left_behind, lock_file, reclaim, remove
from harness.machine.deadlines import Deadlines, Wait
from harness.machine.template_seal import DamagedTemplateError
from harness.machine.templates import (
    ColdBoot,
    Hold,
    Origin,
    Prepare,
    Template,
    make_template,
    open_template,
    template_key,
)

log = logging.getLogger(__name__)

MIB = 1 << 20
GIB_IN_MIB = 1024
LEAST_BUDGET_MIB = 6 * GIB_IN_MIB
MOST_BUDGET_MIB = 48 * GIB_IN_MIB
BUDGET_VARIABLE = "FLTLAB_TEMPLATES_GIB"
KEY_LENGTH = 32
_USED = ".used"
_LOCK = ".lock"
_MAKING = ".making-"


class TemplateStore:
    """Templates below one directory, by default that of the user."""

    def __init__(
        self,
        root: Path | None = None,
        *,
        budget_mib: int | None = None,
        deadlines: Deadlines | None = None,
        making: Wait = Wait.BOOT,
    ) -> None:
        """A budget of None is `FLTLAB_TEMPLATES_GIB`, and where that is not set a share of the disk.

        `making` is what the making of a template waits for: who wants the same one has that patience, and more.
        Raises ConfigurationError if the variable is no number.
        """
        self.root = root if root is not None else home() / "templates"
        self.budget_mib = budget_mib if budget_mib is not None else _budget_of_user()
        self.deadlines = deadlines if deadlines is not None else Deadlines()
        self._making = making

    def get_or_make(self, origin: Origin, facts: Mapping[str, object], prepare: Prepare) -> Template:
        """Return the template with this origin and these facts, made now unless it is there and unharmed.

        One process makes it; others that want the same wait. `facts` are all that `prepare` puts into the machine.
        Raises CannotFreezeError if a machine like this can have no template.
        """
        key = template_key(origin, facts)
        spec = origin.spec
        private_directory(self.root)
        with self._lock(key):
            directory = self.root / key[:KEY_LENGTH]
            if os.path.lexists(directory):
                try:
                    return self._touched(open_template(directory, key, spec))
                except DamagedTemplateError as damage:
                    if os.path.lexists(directory):  # and was not removed by another process just now
                        log.warning("%s: it is made again", damage.message)
                    self._discard(directory)
            hold = self._make(origin, key, prepare, directory)
            try:
                template = self._touched(open_template(directory, key, spec))
            finally:
                hold.release()
        self.keep_within_budget()
        return template

    def templates(self) -> list[Path]:
        """Return the directories of all templates, least recently used first."""
        found = [path for path in self.root.glob("*") if path.is_dir() and not path.name.startswith(".")]
        return sorted(found, key=self._last_use)

    def budget(self, used_mib: int) -> int:
        """Return how many MiB templates may take that take `used_mib` now.

        Unless somebody said, a quarter of what the disk has for them: the stacks of all suites on the reference guest
        take 4 GiB, and a single Windows guest as much.
        """
        if self.budget_mib is not None:
            return self.budget_mib
        share = (free_mib(self.root) + used_mib) // 4
        return min(max(share, LEAST_BUDGET_MIB), MOST_BUDGET_MIB)

    def keep_within_budget(self) -> None:
        """Remove the templates used least recently until the rest fit; those in use stay."""
        sizes = {path: used_bytes(path) for path in self.templates()}
        total = sum(sizes.values())
        budget = self.budget(total // MIB) * MIB
        for path, size in sizes.items():
            if total <= budget:
                break
            if self._remove_unused(path):
                log.info("removed the template %s (%d MiB), which was used least recently", path.name, size // MIB)
                total -= size
        self._forget_removed()

    def _make(self, origin: Origin, key: str, prepare: Prepare, directory: Path) -> Hold:
        """Make a template; it is held from the moment that others see it."""
        prefix = f"{_MAKING}{key[:KEY_LENGTH]}-"
        for left in self.root.glob(f"{prefix}*"):  # we hold the lock: whoever made it is dead
            remove(left)
        reclaim(self.root, _MAKING)
        require_room(self.root, 2 * origin.spec.memory_mib, "make a template")
        scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=self.root))
        try:
            make_template(origin, key, scratch, prepare, self.deadlines)
            hold = Hold(scratch)
            scratch.rename(directory)
        except BaseException:
            remove(scratch)
            raise
        return hold

    def _remove_unused(self, path: Path) -> bool:
        """Remove a template unless somebody holds it."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            self._discard(path)
            return True
        finally:
            os.close(descriptor)

    def _forget_removed(self) -> None:
        """Remove what is left of templates that are gone: the marks of their last use, and their locks."""
        for mark in self.root.glob(f"{_USED}-*"):
            if not (self.root / mark.name.removeprefix(f"{_USED}-")).exists():
                mark.unlink(missing_ok=True)
        for lock in self.root.glob(f".*{_LOCK}"):
            if not (self.root / lock.name[1:].removesuffix(_LOCK)).exists():
                # Who waits for it sees that the file it locked is gone, and begins again with a new one.
                with contextlib.suppress(Timeout), FileLock(lock).acquire(timeout=0):
                    lock.unlink(missing_ok=True)

    def _discard(self, directory: Path) -> None:
        """Remove a directory, out of everybody's sight first: forks that run keep what they have open."""
        away = Path(tempfile.mkdtemp(prefix=f"{_MAKING}{REMOVED}-", dir=self.root))
        with contextlib.suppress(FileNotFoundError):  # another process has removed it
            directory.rename(away / directory.name)
        remove(away)

    def leftovers(self) -> list[Path]:
        """What makers left that were killed; the next template that is made removes it."""
        return list(left_behind(self.root, _MAKING))

    def reclaim(self) -> None:
        """Remove that now."""
        reclaim(self.root, _MAKING)

    def _touched(self, template: Template) -> Template:
        (self.root / f"{_USED}-{template.directory.name}").touch()
        return template

    def _last_use(self, path: Path) -> float:
        with contextlib.suppress(FileNotFoundError):
            return (self.root / f"{_USED}-{path.name}").stat().st_mtime
        return 0.0

    def _lock(self, key: str) -> "_KeyLock":
        return _KeyLock(lock_file(self.root, key[:KEY_LENGTH]), self.deadlines.seconds(self._making) * 4)


def _budget_of_user() -> int | None:
    """What the environment says that templates may take, in MiB."""
    said = os.environ.get(BUDGET_VARIABLE)
    if not said:
        return None
    try:
        gib = float(said)
    except ValueError:
        gib = -1.0
    if not 0 <= gib < float("inf"):
        raise ConfigurationError(
            f"{BUDGET_VARIABLE} is {said!r}, which is no size",
            hint=f"set it to how many GiB of the disk templates may take, as in {BUDGET_VARIABLE}=20",
        )
    return int(gib * GIB_IN_MIB)


class _KeyLock:
    """The lock of one key, as a context."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._lock = FileLock(path)
        self._seconds = seconds

    def __enter__(self) -> None:
        try:
            self._lock.acquire(timeout=self._seconds, poll_interval=0.02)
        except Timeout as error:
            raise HostError(
                f"another process has been making the same template for {self._seconds:.0f} s",
                details=(f"lock: {self._lock.lock_file}",),
                hint="see whether another fltlab hangs, and end it",
            ) from error
        except OSError as error:
            raise HostError(
                f"the lock {self._lock.lock_file} cannot be taken",
                details=(str(error),),
                hint="remove it: fltlab makes it again",
            ) from error

    def __exit__(self, *_: object) -> None:
        self._lock.release()


__all__ = ["ColdBoot", "Template", "TemplateStore"]
