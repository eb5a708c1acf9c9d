"""`lab.<label>`: one minifilter of the stack, and the operation rules a test gives it.

A rule says which operations it is about (`when`) and what the minifilter does with them. It becomes one `rule` line of
the I/O script that `lab.io` runs next; the keys and values are those of drivers/include/fltlab.h.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypedDict, Unpack

from harness.errors import ConfigurationError
from harness.minifilter.script_words import Context, Mechanism, PostAction, Resume
from harness.nt import IrpMajor, NtStatus, OperationClass

CLASS_WORDS = {OperationClass.IRP: "irp", OperationClass.FAST_IO: "fastio", OperationClass.FS_FILTER: "fsfilter"}


Yes = bool | Literal["yes", "no"]


class RuleKeys(TypedDict, total=False):
    """What a minifilter may do beside what its rule is for; docs/drivers.md tells of each."""

    paging: Yes
    delay: int
    """Milliseconds before the callback returns."""
    hold: Yes
    """Keep what is pended until a `release` step."""
    race: Yes
    read_own: Yes
    offset: int
    length: int
    dirty: Yes
    swap: Yes
    set_context: Context
    pre_context: Context
    post_context: Context
    post: PostAction
    post_status: int
    post_mechanism: Mechanism
    post_hold: Yes
    """Keep what the post callback has pended until a `release` step."""


class RuleBuilder:
    """The operations a rule is about; every method but `when`'s keywords finishes the rule with what to do.

    Keywords common to all of them (RuleKeys) are handed on as they are, with "-" for "_".
    """

    def __init__(self, add: Callable[[Mapping[str, object]], None], match: Mapping[str, object]) -> None:
        self._add = add
        self._match = match

    def no_callback(self, **more: Unpack[RuleKeys]) -> None:
        """Return FLT_PREOP_SUCCESS_NO_CALLBACK."""
        self._do("no-callback", more)

    def with_callback(self, context: int | None = None, **more: Unpack[RuleKeys]) -> None:
        """Return FLT_PREOP_SUCCESS_WITH_CALLBACK, with `context` as the completion context."""
        self._do("with-callback", {"context": context, **more})

    def synchronize(self, context: int | None = None, **more: Unpack[RuleKeys]) -> None:
        """Return FLT_PREOP_SYNCHRONIZE, with `context` as the completion context."""
        self._do("synchronize", {"context": context, **more})

    def complete(self, status: NtStatus, information: int = 0, **more: Unpack[RuleKeys]) -> None:
        """Return FLT_PREOP_COMPLETE, with this IoStatus."""
        self._do("complete", {"status": int(status), "information": information, **more})

    def pend(
        self,
        mechanism: Mechanism = "deferred",
        resume: Resume = "no-callback",
        status: NtStatus | None = None,
        context: int | None = None,
        information: int | None = None,
        **more: Unpack[RuleKeys],
    ) -> None:
        """Return FLT_PREOP_PENDING, and come back by `mechanism`, resuming with `resume`.

        `mechanism`: deferred, generic, queue, thread. `resume`: no-callback, with-callback (`context` is handed to the
        post callback), complete (`status` and `information` become the IoStatus), synchronize.
        """
        resumed = {"status": status, "information": information, "context": context}
        self._do("pend", {"mechanism": mechanism, "resume": resume, **resumed, **more})

    def disallow_fastio(self, **more: Unpack[RuleKeys]) -> None:
        """Return FLT_PREOP_DISALLOW_FASTIO."""
        self._do("disallow-fastio", more)

    def disallow_fsfilter_io(self, **more: Unpack[RuleKeys]) -> None:
        """Return FLT_PREOP_DISALLOW_FSFILTER_IO."""
        self._do("disallow-fsfilter-io", more)

    def as_always(self, **more: Unpack[RuleKeys]) -> None:
        """Return what the minifilter returns without a rule; for rules about posts, contexts, delays."""
        self._do(None, more)

    def _do(self, what: str | None, more: Mapping[str, object]) -> None:
        self._add({**self._match, "do": what, **{key.replace("_", "-"): value for key, value in more.items()}})


class FilterHandle:
    """One minifilter of the stack, by its label. A black box (`control: none`) has no port, and takes no rules.

    `service` is what the guest calls it: the name to load and unload it by.
    """

    def __init__(self, label: str, service: str, *, has_port: bool = True, captures_prints: bool = False) -> None:
        self.label = label
        self.service = service
        self.has_port = has_port
        self._captures_prints = captures_prints
        self._rules: list[str] = []

    @property
    def rules(self) -> tuple[str, ...]:
        """Its rules so far, as lines of a script."""
        return tuple(self._rules)

    @rules.setter
    def rules(self, rules: Iterable[str]) -> None:
        self._rules[:] = rules

    def when(
        self,
        major: IrpMajor | None,
        *,
        name: str | None = None,
        cls: OperationClass | None = None,
        minor: int | None = None,
        process: str | None = None,
        paging: bool | None = None,
        skip: int | None = None,
        max: int | None = None,  # noqa: A002 (the script's own word)
    ) -> RuleBuilder:
        """Begin a rule about the operations of fltprobe that match everything given.

        `name` is the last component of the file's name; `process="any"` takes other processes' operations too;
        `paging=True` takes paging I/O too; the rule lets `skip` matches by and then acts on at most `max`.
        """
        if not self.has_port:
            raise ConfigurationError(
                f"{self.label} takes no rules: its driver.yaml says that it does not speak fltlab's control protocol"
            )
        match: dict[str, object] = {
            "major": major.spelling if major is not None else None,
            "minor": minor,
            "class": CLASS_WORDS[cls] if cls is not None else None,
            "process": process,
            "paging": paging,
            "name": name,
            "skip": skip,
            "max": max,
        }
        return RuleBuilder(self._add, match)

    def forget(self) -> None:
        """Drop the rules given so far."""
        self._rules.clear()

    @property
    def script(self) -> list[str]:
        """The lines of the I/O script that connect to this minifilter and give it its rules."""
        connect = f"filter {self.label} prints" if self._captures_prints else f"filter {self.label}"
        return [connect, *self._rules] if self.has_port else []

    def _add(self, keys: Mapping[str, object]) -> None:
        words = " ".join(f"{key}={_word(value)}" for key, value in keys.items() if value is not None)
        self._rules.append(f"rule {self.label} {words}".rstrip())


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"0x{value:X}" if value > 9 else str(value)
    text = str(value)
    return f'"{text}"' if any(character.isspace() for character in text) else text
