"""Opening, reading, writing, locking and cancelling."""

from harness.minifilter.script_words import Access, Attribute, Disposition, Option, Share
from harness.minifilter.steps.script_step import Named, OneOrMore, ScriptStep, line, plain


def open(
    file: str,
    path: str,
    *,
    access: OneOrMore[Access] | None = None,
    share: OneOrMore[Share] | None = None,
    disposition: OneOrMore[Disposition] | None = None,
    options: OneOrMore[Option] | None = None,
    attributes: OneOrMore[Attribute] | None = None,
    allocation: int | None = None,
    relative: Named | None = None,
    ea: str | None = None,
    ea_text: str | None = None,
    descriptor: bytes | None = None,
    case_sensitive: bool = False,
) -> ScriptStep:
    r"""NtCreateFile: open or make `V:\name`, a path from the root of the namespace, or one below `relative`.

    By itself for reading, shared with all, if it is there. On a file opened with `options="overlapped"` a request that
    has `async_` may be pending. `allocation` is in bytes; `ea` with `ea_text`, and a self-relative `descriptor`, are
    given to a new file.
    """
    return line(
        "open",
        file,
        path,
        access=access,
        share=share,
        disposition=disposition,
        options=options,
        attributes=attributes,
        allocation=allocation,
        relative=relative,
        ea=ea,
        ea_text=ea_text,
        descriptor=descriptor,
        plain=plain(case_sensitive=case_sensitive),
    )


def open_by_id(
    file: str,
    of: Named,
    *,
    access: OneOrMore[Access] | None = None,
    share: OneOrMore[Share] | None = None,
    options: OneOrMore[Option] | None = None,
) -> ScriptStep:
    """NtCreateFile with FILE_OPEN_BY_FILE_ID: the open file `of` once more."""
    return line("open-by-id", file, of, access=access, share=share, options=options)


def delete(path: str) -> ScriptStep:
    """NtDeleteFile."""
    return line("delete", path)


def close(file: Named) -> ScriptStep:
    """NtClose."""
    return line("close", file)


def read(
    file: Named,
    *,
    length: int,
    offset: int | None = None,
    key: int | None = None,
    async_: str | None = None,
    whole: bool = False,
) -> ScriptStep:
    """NtReadFile of `length` bytes from `offset`, or from the file's own position; the first 64 are told, or the whole.

    `key` is the key of byte-range locks.
    """
    return line("read", file, offset=offset, length=length, key=key, async_=async_, plain=plain(whole=whole))


def write(
    file: Named,
    *,
    offset: int | None = None,
    length: int | None = None,
    fill: int | None = None,
    text: str | None = None,
    data: bytes | None = None,
    key: int | None = None,
    async_: str | None = None,
) -> ScriptStep:
    """NtWriteFile of a text (UTF-8), of bytes, or of `length` bytes that are `fill` each (4096 zeros by itself)."""
    return line(
        "write", file, offset=offset, length=length, fill=fill, text=text, data=data, key=key, async_=async_
    )  # fmt: skip


def flush(file: Named) -> ScriptStep:
    """NtFlushBuffersFile."""
    return line("flush", file)


def lock(
    file: Named,
    *,
    offset: int,
    length: int,
    key: int | None = None,
    async_: str | None = None,
    shared: bool = False,
    wait: bool = False,
) -> ScriptStep:
    """NtLockFile: exclusively unless `shared`; refused at once, unless it is to `wait`, where somebody else has it."""
    words = plain(shared=shared, wait=wait)
    return line("lock", file, offset=offset, length=length, key=key, async_=async_, plain=words)


def unlock(file: Named, *, offset: int, length: int, key: int | None = None) -> ScriptStep:
    """NtUnlockFile."""
    return line("unlock", file, offset=offset, length=length, key=key)


def cancel(file: Named, *, async_: Named | None = None, own: bool = False) -> ScriptStep:
    """NtCancelIoFileEx of one operation, or of all of the file; `own`: NtCancelIoFile, those that this thread began."""
    return line("cancel", file, async_=async_, plain=plain(own=own))


def cancel_synchronous(operation: Named) -> ScriptStep:
    """NtCancelSynchronousIoFile: what the thread of a spawned step waits for."""
    return line("cancel-synchronous", operation)
