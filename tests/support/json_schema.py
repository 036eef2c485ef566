"""JSON Schema as `/openapi.json` uses it: just the keywords that are there, and no other.

A keyword that is not known here fails, so that nothing is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

ANNOTATIONS = {
    "title", "description", "default", "examples", "contentMediaType", "contentSchema",
    "contentEncoding",
}  # fmt: skip
TYPES: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _zoned(text: str) -> None:
    if datetime.fromisoformat(text).tzinfo is None or not re.match(r"\d{4}-\d\d-\d\dT", text):
        raise ValueError


def _decimal(text: str) -> None:
    if not re.fullmatch(r"-?\d+(\.\d+)?", text):
        raise ValueError
    Decimal(text)


FORMATS: Mapping[str, Callable[[str], Any]] = {
    "date-time": _zoned,
    "date": date.fromisoformat,
    "decimal": _decimal,
    "uuid": UUID,
    "uri": lambda text: None,
    "binary": lambda text: None,
}


@dataclass(frozen=True, slots=True)
class Validator:
    """`closed`: an object with members that are not described is a problem where none but those
    that are come to be (answers); else what `additionalProperties` says."""

    root: Mapping[str, Any]
    closed: bool = False

    def problems(self, schema: Mapping[str, Any], value: Any, where: str = "$") -> list[str]:
        return list(self._found(schema, value, where))

    def _found(self, schema: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
        for keyword, told in schema.items():
            if keyword in ANNOTATIONS:
                continue
            yield from _CHECKS[keyword](self, schema, told, value, where)

    def resolve(self, target: str) -> Mapping[str, Any]:
        found: Any = self.root
        for part in target.removeprefix("#/").split("/"):
            found = found[part]
        assert isinstance(found, Mapping)
        return found

    # -- keywords ---------------------------------------------------------------------------

    def _ref(self, _: Any, told: str, value: Any, where: str) -> Iterator[str]:
        yield from self._found(self.resolve(told), value, where)

    def _type(self, _: Any, told: str | list[str], value: Any, where: str) -> Iterator[str]:
        kinds = [told] if isinstance(told, str) else told
        if not any(TYPES[kind](value) for kind in kinds):
            yield f"{where} is no {told}"

    def _enum(self, _: Any, told: list[Any], value: Any, where: str) -> Iterator[str]:
        if value not in told:
            yield f"{where} is none of {told}"

    def _const(self, _: Any, told: Any, value: Any, where: str) -> Iterator[str]:
        if value != told or isinstance(value, bool) != isinstance(told, bool):
            yield f"{where} is not {told!r}"

    def _properties(
        self, schema: Mapping[str, Any], told: Mapping[str, Any], value: Any, where: str
    ) -> Iterator[str]:
        if not isinstance(value, dict):
            return
        for name, inner in told.items():
            if name in value:
                yield from self._found(inner, value[name], f"{where}.{name}")
        if self.closed and "additionalProperties" not in schema:
            yield from (f"{where}.{name} is not described" for name in value.keys() - told.keys())

    def _required(self, _: Any, told: list[str], value: Any, where: str) -> Iterator[str]:
        if isinstance(value, dict):
            yield from (f"{where}.{name} is missing" for name in told if name not in value)

    def _additional(
        self, schema: Mapping[str, Any], told: Any, value: Any, where: str
    ) -> Iterator[str]:
        if not isinstance(value, dict):
            return
        for name in value.keys() - schema.get("properties", {}).keys():
            if told is False:
                yield f"{where}.{name} is not allowed"
            elif told is not True:
                yield from self._found(told, value[name], f"{where}.{name}")

    def _names(self, _: Any, told: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
        for name in value if isinstance(value, dict) else ():
            yield from self._found(told, name, f"{where}, the name {name!r}")

    def _items(self, _: Any, told: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
        for number, item in enumerate(value if isinstance(value, list) else ()):
            yield from self._found(told, item, f"{where}[{number}]")

    def _all_of(self, _: Any, told: list[Any], value: Any, where: str) -> Iterator[str]:
        for inner in told:
            yield from self._found(inner, value, where)

    def _any_of(self, _: Any, told: list[Any], value: Any, where: str) -> Iterator[str]:
        found = [self.problems(inner, value, where) for inner in told]
        if all(found):
            yield f"{where} is none of: {'; '.join(problems[0] for problems in found)}"

    def _one_of(self, _: Any, told: list[Any], value: Any, where: str) -> Iterator[str]:
        held = sum(not self.problems(inner, value, where) for inner in told)
        if held != 1:
            yield f"{where} is {held} of those that it is to be one of"

    def _not(self, _: Any, told: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
        if not self.problems(told, value, where):
            yield f"{where} is what it must not be"

    def _format(self, _: Any, told: str, value: Any, where: str) -> Iterator[str]:
        if isinstance(value, str):
            try:
                FORMATS[told](value)
            except ValueError:
                yield f"{where} is no {told}: {value[:60]!r}"

    def _pattern(self, _: Any, told: str, value: Any, where: str) -> Iterator[str]:
        if isinstance(value, str) and not re.search(told, value):
            yield f"{where} does not match {told}"


def _bound(kind: type | tuple[type, ...], holds: Callable[[Any, Any], bool], words: str) -> Any:
    def check(_: Any, __: Any, told: Any, value: Any, where: str) -> Iterator[str]:
        if isinstance(value, kind) and not isinstance(value, bool) and not holds(value, told):
            yield f"{where}: {words} {told}"

    return check


_NUMBER = (int, float)
_CHECKS: Mapping[str, Any] = {
    "$ref": Validator._ref,
    "type": Validator._type,
    "enum": Validator._enum,
    "const": Validator._const,
    "properties": Validator._properties,
    "required": Validator._required,
    "additionalProperties": Validator._additional,
    "propertyNames": Validator._names,
    "items": Validator._items,
    "allOf": Validator._all_of,
    "anyOf": Validator._any_of,
    "oneOf": Validator._one_of,
    "not": Validator._not,
    "format": Validator._format,
    "pattern": Validator._pattern,
    "minimum": _bound(_NUMBER, lambda value, told: value >= told, "at least"),
    "maximum": _bound(_NUMBER, lambda value, told: value <= told, "at most"),
    "minLength": _bound(str, lambda value, told: len(value) >= told, "characters, at least"),
    "maxLength": _bound(str, lambda value, told: len(value) <= told, "characters, at most"),
    "minItems": _bound(list, lambda value, told: len(value) >= told, "items, at least"),
    "maxItems": _bound(list, lambda value, told: len(value) <= told, "items, at most"),
    "uniqueItems": _bound(
        list, lambda value, told: len({repr(item) for item in value}) == len(value), "unique"
    ),
    "minProperties": _bound(dict, lambda value, told: len(value) >= told, "members, at least"),
    "maxProperties": _bound(dict, lambda value, told: len(value) <= told, "members, at most"),
}
KEYWORDS = frozenset(_CHECKS) | ANNOTATIONS
# Where schemas stand within a schema.
_ONE = ("items", "additionalProperties", "propertyNames", "not", "contentSchema")
_LISTED = ("allOf", "anyOf", "oneOf")


def subschemas(schema: Any) -> Iterator[Mapping[str, Any]]:
    """A schema and all within it, without those that it refers to."""
    if not isinstance(schema, Mapping):
        assert isinstance(schema, bool)
        return
    yield schema
    for name in _ONE:
        if name in schema:
            yield from subschemas(schema[name])
    for inner in [one for name in _LISTED for one in schema.get(name, ())]:
        yield from subschemas(inner)
    for inner in schema.get("properties", {}).values():
        yield from subschemas(inner)
