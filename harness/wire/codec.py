"""The one JSON codec of messages: a frozen dataclass becomes a JSON object of its members, and comes back checked.

Members at their default are left out; members that a reader does not know are ignored, so that they may be added
without a new version. Bytes travel as base64, enumerations by value. Whatever else is not as declared is a
MalformedMessageError that names the member.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

_Message = TypeVar("_Message")


class MalformedMessageError(ValueError):
    """What has come is no message, or not of the type that was expected here."""


def encode(message: object) -> str:
    """A message as one line of JSON."""
    return json.dumps(to_data(message))


def decode(kind: type[_Message], text: str | bytes) -> _Message:
    """The opposite."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise MalformedMessageError(f"{kind.__name__}: no JSON ({error}): {text[:200]!r}") from None
    return from_data(kind, data)


def to_data(value: Any) -> Any:
    """A message as plain data for JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: to_data(member)
            for item in fields(value)
            if (member := getattr(value, item.name)) != _default(item)
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(key): to_data(member) for key, member in value.items()}
    if isinstance(value, tuple | list):
        return [to_data(member) for member in value]
    return value


def from_data(kind: type[_Message], data: Any) -> _Message:
    """A message from plain data."""
    made: _Message = _read(kind, data, kind.__name__)
    return made


def _default(item: Any) -> Any:
    return item.default if item.default is not MISSING else MISSING


@cache
def _members(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: Any, data: Any, where: str) -> Any:
    """`data` as the type that an annotation names."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if data is None and NoneType in arguments:
            return None
        kind = next(argument for argument in arguments if argument is not NoneType)
        return _read(kind, data, where)
    if is_dataclass(kind):
        return _read_message(kind, data, where)
    if origin is tuple:
        _expect(isinstance(data, list), where, "a list", data)
        return tuple(_read(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(data))
    if origin is not None and issubclass(origin, Mapping):
        _expect(isinstance(data, dict), where, "an object", data)
        return {key: _read(arguments[1], item, f"{where}.{key}") for key, item in data.items()}
    if kind is bytes:
        _expect(isinstance(data, str), where, "base64", data)
        try:
            return base64.b64decode(data, validate=True)
        except ValueError:
            raise MalformedMessageError(f"{where} is no base64: {data[:80]!r}") from None
    if issubclass(kind, Enum):
        try:
            return kind(data)
        except ValueError:
            raise MalformedMessageError(
                f"{where} is none of {', '.join(str(item.value) for item in kind)}: {data!r}"
            ) from None
    _expect(isinstance(data, kind) and (kind is bool or not isinstance(data, bool)), where, kind.__name__, data)
    return data


def _read_message(kind: Any, data: Any, where: str) -> Any:
    _expect(isinstance(data, dict), where, "an object", data)
    hints, made = _members(kind), {}
    for item in fields(kind):
        if item.name in data:
            made[item.name] = _read(hints[item.name], data[item.name], f"{where}.{item.name}")
        elif item.default is MISSING and item.default_factory is MISSING:
            raise MalformedMessageError(f"{where} lacks {item.name}")
    return kind(**made)


def _expect(holds: bool, where: str, what: str, data: Any) -> None:
    if not holds:
        raise MalformedMessageError(f"{where} is {what}, not {str(data)[:80]!r}")
