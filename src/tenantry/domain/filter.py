"""Metadata filters: a bounded tree of comparisons, evaluated in memory on opened cards.

The grammar is that of Bedrock Knowledge Bases' `RetrievalFilter`: `{"equals": {"key", "value"}}`,
`notEquals`, `greaterThan`, `greaterThanOrEquals`, `lessThan`, `lessThanOrEquals`, `in`, `notIn`,
`startsWith`, `stringContains`, `listContains`, and `andAll` / `orAll` over two or more of them.
Shorthand: an object whose members are no operators, such as `{"lang": "en", "year": 2026}`, asks
for equality of each. As there, a document without the key is matched by `notEquals`, and by no
other comparison, `notIn` among them.

Keys and texts are compared in NFC, whichever form they were sent and kept in: `é` as one character
and `e` with an accent are the same. Case matters.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tenantry.domain.document import Metadata, MetadataValue, fits_64_bits
from tenantry.domain.errors import BadRequest
from tenantry.domain.one_form import given_in_nfc, in_nfc

DEPTH_MAX = 4
COMPARISONS_MAX = 64
VALUES_MAX = 100
KEY_CHARS_MAX = 100  # of Bedrock's FilterKey
TEXT_CHARS_MAX = 1_024

Scalar = str | int | float | bool


class _Held:
    """A document's metadata, as the comparisons of one filter look into it.

    Keys are kept as they were given. They are brought to NFC once, and only where one is missing:
    a filter may ask for many that a document lacks.
    """

    __slots__ = ("_in_nfc", "_metadata")

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._in_nfc: Metadata | None = None

    def get(self, key: str) -> MetadataValue | None:
        held = self._metadata.get(key)
        if held is not None:
            return held
        if self._in_nfc is None:
            self._in_nfc = _spelt_otherwise(self._metadata)
        return self._in_nfc.get(key)


class _Asks(ABC):
    __slots__ = ()

    def matches(self, metadata: Metadata) -> bool:
        return self.holds(_Held(metadata))

    @abstractmethod
    def holds(self, held: _Held) -> bool:
        """Of a document that other parts of the same filter look at as well."""


@dataclass(frozen=True, slots=True)
class Comparison(_Asks):
    """`key` and texts of `value` are in NFC."""

    operator: str
    key: str
    value: Scalar | tuple[Scalar, ...]

    def holds(self, held: _Held) -> bool:
        value = held.get(self.key)
        if value is None:
            return self.operator == "notEquals"
        return _OPERATORS[self.operator](_in_one_form(value), self.value)


@dataclass(frozen=True, slots=True)
class AndAll(_Asks):
    parts: tuple[Filter, ...]

    def holds(self, held: _Held) -> bool:
        return all(part.holds(held) for part in self.parts)


@dataclass(frozen=True, slots=True)
class OrAll(_Asks):
    parts: tuple[Filter, ...]

    def holds(self, held: _Held) -> bool:
        return any(part.holds(held) for part in self.parts)


Filter = Comparison | AndAll | OrAll


def filter_from(value: object, *, shorthand: bool = True) -> Filter | None:
    """A filter from parsed JSON; None and `{}` mean no filter. Else BadRequest.

    Without `shorthand` the grammar is Bedrock's alone: there a misspelt operator is refused, where
    it would ask for an equality here.
    """
    if value is None or value == {}:
        return None
    budget = [COMPARISONS_MAX]
    return _node(value, 1, budget, shorthand)


def _node(value: object, depth: int, budget: list[int], shorthand: bool) -> Filter:
    if depth > DEPTH_MAX:
        raise BadRequest(f"`filter` is nested deeper than {DEPTH_MAX} levels.")
    if not isinstance(value, Mapping) or not value:
        raise BadRequest("`filter` must be an object.")
    if not any(name in _OPERATORS or name in ("andAll", "orAll") for name in value):
        return _shorthand(value, budget, shorthand)
    if len(value) != 1:
        raise BadRequest("`filter` takes one operator an object; join several with `andAll`.")
    ((name, operand),) = value.items()
    if name not in ("andAll", "orAll"):
        return _comparison(name, operand, budget)
    if not isinstance(operand, list) or len(operand) < 2:
        raise BadRequest(f"`filter.{name}` takes a list of two or more filters.")
    parts = tuple(_node(item, depth + 1, budget, shorthand) for item in operand)
    return AndAll(parts) if name == "andAll" else OrAll(parts)


def _shorthand(value: Mapping[Any, object], budget: list[int], allowed: bool) -> Filter:
    for name, item in value.items():
        if not allowed or isinstance(item, Mapping):
            raise BadRequest(f"`filter` has no operator {str(name)[:KEY_CHARS_MAX]!r}.")
    parts = tuple(
        _comparison("equals", {"key": key, "value": item}, budget) for key, item in value.items()
    )
    return parts[0] if len(parts) == 1 else AndAll(parts)


def _comparison(name: str, operand: object, budget: list[int]) -> Comparison:
    budget[0] -= 1
    if budget[0] < 0:
        raise BadRequest(f"`filter` has more than {COMPARISONS_MAX} comparisons.")
    if not isinstance(operand, Mapping) or set(operand) != {"key", "value"}:
        raise BadRequest(f"`filter.{name}` takes `key` and `value`.")
    key, value = operand["key"], operand["value"]
    key = given_in_nfc(key, KEY_CHARS_MAX) if isinstance(key, str) else key
    if not isinstance(key, str) or not 0 < len(key) <= KEY_CHARS_MAX:
        raise BadRequest(f"`filter.{name}.key` has 1 to {KEY_CHARS_MAX} characters.")
    if name in ("in", "notIn"):
        if not isinstance(value, list) or not 0 < len(value) <= VALUES_MAX:
            raise BadRequest(f"`filter.{name}.value` takes a list of 1 to {VALUES_MAX} values.")
        return Comparison(name, key, tuple(_scalar(name, item) for item in value))
    scalar = _scalar(name, value)
    if name in _ORDERED and (isinstance(scalar, bool) or not isinstance(scalar, (int, float, str))):
        raise BadRequest(f"`filter.{name}.value` takes a number or a string.")
    if name in _TEXTUAL and not isinstance(scalar, str):
        raise BadRequest(f"`filter.{name}.value` takes a string.")
    return Comparison(name, key, scalar)


def _scalar(name: str, value: object) -> Scalar:
    if isinstance(value, str):
        value = given_in_nfc(value, TEXT_CHARS_MAX)
        if len(value) <= TEXT_CHARS_MAX:
            return value
    if isinstance(value, (bool, int, float)) and fits_64_bits(value):
        return value
    raise BadRequest(f"`filter.{name}.value` takes a string, a number of 64 bits or a boolean.")


def _spelt_otherwise(metadata: Metadata) -> Metadata:
    """What a document has under keys of any other form, by their NFC; the first where two are one
    there, as of documents of long ago."""
    found: dict[str, MetadataValue] = {}
    for name, value in metadata.items():
        if not name.isascii():
            found.setdefault(in_nfc(name), value)
    return found


def _in_one_form(held: MetadataValue) -> MetadataValue:
    if isinstance(held, str):
        return in_nfc(held)
    return tuple(map(in_nfc, held)) if isinstance(held, tuple) else held


def _same(held: MetadataValue, wanted: Any) -> bool:
    """Equality that keeps `true` apart from 1, and finds a value in a list of strings."""
    if isinstance(held, tuple):
        return wanted in held
    return isinstance(held, bool) == isinstance(wanted, bool) and held == wanted


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[MetadataValue, Any], bool]:
    def check(held: MetadataValue, bound: Any) -> bool:
        if isinstance(held, (bool, tuple)) or isinstance(held, str) != isinstance(bound, str):
            return False
        return compare(held, bound)

    return check


_ORDERED: Final = frozenset(
    {
        "greaterThan",
        "greaterThanOrEquals",
        "lessThan",
        "lessThanOrEquals",
    }
)
_TEXTUAL: Final = frozenset({"startsWith", "stringContains", "listContains"})
_OPERATORS: Final[Mapping[str, Callable[[MetadataValue, Any], bool]]] = {
    "equals": _same,
    "notEquals": lambda held, value: not _same(held, value),
    "greaterThan": _ordered(operator.gt),
    "greaterThanOrEquals": _ordered(operator.ge),
    "lessThan": _ordered(operator.lt),
    "lessThanOrEquals": _ordered(operator.le),
    "in": lambda held, values: any(_same(held, value) for value in values),
    "notIn": lambda held, values: not any(_same(held, value) for value in values),
    "startsWith": lambda held, value: isinstance(held, str) and held.startswith(value),
    "stringContains": lambda held, value: (
        any(value in item for item in held)
        if isinstance(held, tuple)
        else isinstance(held, str) and value in held
    ),
    "listContains": lambda held, value: isinstance(held, tuple) and value in held,
}
