"""Exports: Python functions that drivers and user programs import, and the table that finds them by name.

    @export("ntoskrnl.exe", "KeSetEvent", max_irql=Irql.DISPATCH)
    def ke_set_event(k: "Kernel", event: int, increment: I32, wait: bool) -> int: ...

The parameters after the kernel are read from the signature: the first four are rcx, rdx, r8 and r9, the rest are on the
stack. A plain `int` is the whole 64-bit register, unsigned; the annotations U8 ... I64 and `bool` take the part of it
that the C type has (the rest of the register is garbage by the calling convention). Arguments that several functions
share in a row are a group: a NamedTuple whose fields are annotated like parameters, taken as one parameter. The result
goes to rax: an int, a bool, or None for 0. A generator function may block or call guest code by yielding requests
(scheduler/requests.py).
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from struct import Struct
from typing import Annotated, Any, TypeVar, get_args

from harness.nt import Irql

U8 = Annotated[int, "B7x"]
U16 = Annotated[int, "H6x"]
U32 = Annotated[int, "I4x"]
I8 = Annotated[int, "b7x"]
I16 = Annotated[int, "h6x"]
I32 = Annotated[int, "i4x"]
I64 = Annotated[int, "q"]
Length = Annotated[int, "I4x", -1]
"""A U32: the length of the buffer that the parameter before it points to."""
LengthOfNext = Annotated[int, "I4x", 1]
"""The same of the parameter behind it."""

ExportFunction = Callable[..., Any]
_Function = TypeVar("_Function", bound=ExportFunction)

NTOSKRNL = "ntoskrnl.exe"
HAL = "hal.dll"
FLTMGR = "fltmgr.sys"
KSECDD = "ksecdd.sys"
CNG = "cng.sys"
NTDLL = "ntdll.dll"
FLTLIB = "fltlib.dll"
KERNEL_AND_USER = (NTOSKRNL, NTDLL)


class Variadic:
    """The `...` of a C function: further arguments, fetched one at a time."""

    def __init__(self, fetch: Callable[[int], int], first: int) -> None:
        self._fetch = fetch
        self._next = first

    def next(self) -> int:
        """The next argument, as an unsigned 64-bit number."""
        value = self._fetch(self._next)
        self._next += 1
        return value


@dataclass(frozen=True, slots=True)
class Export:
    """One exported function."""

    module: str
    name: str
    function: ExportFunction
    max_irql: int
    variadic: bool
    registers: Struct
    """Layout of the register arguments in the call page."""
    stack: Struct | None
    """Layout of the stack arguments, from rsp + 28h at entry."""
    parameters: int
    simple: bool
    """All its arguments are in registers."""


_EXPORTS: dict[tuple[str, str], Export] = {}


def export(
    module: str | tuple[str, ...],
    *names: str,
    max_irql: int = Irql.HIGH,
    variadic: bool = False,
    arguments: Sequence[Any] | None = None,
) -> Callable[[_Function], _Function]:
    """Export the decorated function from `module` (or several) under each of `names`.

    Called above `max_irql`, the function is not run: the kernel reports the violation and bug checks.
    With `variadic` the last parameter of the function is a `Variadic`. `arguments` are the annotations of its arguments
    where the function itself does not say them.
    """
    modules = (module,) if isinstance(module, str) else module

    def register(function: _Function) -> _Function:
        declared = declared_arguments(function) if arguments is None else arguments
        codes = [_code(annotation) for annotation in _spread(declared)]
        if variadic:
            codes.pop()
        registers, stack = codes[:4], codes[4:]
        called = _with_room(_gathering(function, declared), list(_spread(declared)), names[0])
        for owner, name in product(modules, names):
            key = (owner.lower(), name)
            if key in _EXPORTS:
                raise ValueError(f"{name} is exported from {owner} twice")
            _EXPORTS[key] = Export(
                module=owner.lower(),
                name=name,
                function=called,
                max_irql=int(max_irql),
                variadic=variadic,
                registers=Struct("<" + "".join(registers)),
                stack=Struct("<" + "".join(stack)) if stack else None,
                parameters=len(codes),
                simple=not stack and not variadic,
            )
        return function

    return register


def declared_arguments(function: ExportFunction) -> list[Any]:
    """The annotations of all parameters but the first, read without the time that `inspect.signature` takes."""
    declared: Any = inspect.unwrap(function)
    names = declared.__code__.co_varnames[1 : declared.__code__.co_argcount]
    return [declared.__annotations__[name] for name in names]


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, tuple)


def _spread(annotations: Sequence[Any]) -> Iterator[Any]:
    """The annotations of single arguments: a group stands for those of its fields."""
    for annotation in annotations:
        yield from annotation.__annotations__.values() if _is_group(annotation) else (annotation,)


def _gathering(function: ExportFunction, annotations: Sequence[Any]) -> ExportFunction:
    """The function as it is called: with single arguments, of which those of a group become one."""
    if not any(map(_is_group, annotations)):
        return function
    groups = []
    for index, annotation in enumerate(annotations):
        if _is_group(annotation):
            groups.append((partial(tuple.__new__, annotation), index, index + len(annotation._fields)))

    @functools.wraps(function)
    def call(k: Any, *words: Any) -> Any:
        for gathered, begin, end in groups:
            words = (*words[:begin], gathered(words[begin:end]), *words[end:])
        return function(k, *words)

    return call


def _with_room(function: ExportFunction, annotations: Sequence[Any], name: str) -> ExportFunction:
    """The function as it is called: whoever gives a length is asked whether the buffer is as long."""
    pairs = [(at + extras[2], at) for at, one in enumerate(annotations) if len(extras := get_args(one)) > 2]
    if not pairs:
        return function

    @functools.wraps(function)
    def call(k: Any, *words: Any) -> Any:
        for buffer, length in pairs:
            k.require_room(words[buffer], words[length], name)
        return function(k, *words)

    return call


def _code(annotation: Any) -> str:
    """The struct format of one parameter, from its annotation."""
    if annotation is bool:
        return "?7x"
    extras = get_args(annotation)
    return str(extras[1]) if extras and annotation is not int else "Q"


def find_export(module: str, name: str) -> Export | None:
    """The export, or None."""
    return _EXPORTS.get((module.lower(), name))


def all_exports() -> Iterator[Export]:
    """Every export that is implemented."""
    yield from _EXPORTS.values()
