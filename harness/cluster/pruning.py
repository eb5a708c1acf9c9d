"""What a store, and a machine's cache of it, need not keep."""

import time
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.manifest import Manifest
from harness.cluster.store import MANIFEST_BYTES, Store
from harness.errors import HostError
from harness.fleet.cluster_files import fetched
from harness.host.leftovers import lock_file, mebibytes, remove

DAY = 86400.0
KEPT_DAYS = 30.0
"""Trees that no run has wanted for so long go."""
GRACE_DAYS = 1.0
"""Nothing goes that was written since: somebody may be putting a tree there that will refer to it."""


@dataclass(frozen=True)
class Pruned:
    """What went."""

    trees: int = 0
    objects: int = 0
    bytes: int = 0


def prune_store(store: Store, kept_days: float = KEPT_DAYS, grace_days: float = GRACE_DAYS) -> Pruned:
    """Remove the trees that nobody has wanted for days, and what belongs to no tree."""
    now = time.time()
    kept: set[str] = set()
    trees = 0
    for digest in store.listed(f"{store.root}/trees"):
        noted = store.read_json(store.tree_note(digest)) or {}
        wanted = noted.get("wanted")
        if not isinstance(wanted, int) or wanted < now - kept_days * DAY:
            store.delete(store.tree_note(digest))
            trees += 1
            continue
        kept |= {digest, *_pieces(store, digest)}
    for kind in store.listed(f"{store.root}/names"):
        for key in store.listed(f"{store.root}/names/{kind}"):
            path = f"{store.root}/names/{kind}/{key}"
            if (store.read_json(path) or {}).get("digest") not in kept:
                store.delete(path)
    removed = [
        (path, size)
        for path, size, written in store.objects()
        if _name(path) not in kept and written < now - grace_days * DAY
    ]
    for path, _ in removed:
        store.delete(path)
    return Pruned(trees, len(removed), sum(size for _, size in removed))


def prune_daily(store: Store) -> Pruned:
    """Prune a store, if nobody has done so for a day."""
    note = f"{store.root}/pruned"
    last = (store.read_json(note) or {}).get("at")
    if isinstance(last, int) and last > time.time() - DAY:
        return Pruned()
    store.write_json(note, {"at": int(time.time())})
    return prune_store(store)


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _pieces(store: Store, digest: str) -> set[str]:
    try:
        return Manifest.from_bytes(store.get_bytes(digest, MANIFEST_BYTES)).pieces
    except HostError:
        return set()  # no tree, but what was put as it is; or one that is damaged, and is put anew when it is wanted


def prune_cache(kept_days: float = KEPT_DAYS, cache: Path | None = None) -> Pruned:
    """Remove from this machine the trees that no run here has wanted for days."""
    from filelock import FileLock

    folder = cache if cache is not None else fetched()
    trees = size = 0
    for path in sorted(folder.glob("[0-9a-f]*")):
        if path.is_symlink() or not path.is_dir() or path.lstat().st_mtime > time.time() - kept_days * DAY:
            continue
        lock = FileLock(lock_file(folder, path.name))
        try:
            lock.acquire(timeout=0)
        except OSError:  # it is being fetched
            continue
        with lock:
            size += mebibytes(path) << 20
            remove(path)
            trees += 1
        lock.release()
    return Pruned(trees, 0, size)
