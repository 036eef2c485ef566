"""Builds a value that a JSON schema allows: simple, deterministic, bounded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_MAX_DEPTH = 12
_MAX_NODES = 2_000
_CHARS_PER_NODE = 1_000  # a longer text counts as that many nodes more
_MAX_ITEMS = 100
_MAX_LENGTH = 10_000
_MAX_BOUND = 1e300  # of a number; beyond it, sums are no longer finite
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def build(schema: Any, hint: str) -> Any:
    """A value for `schema`; free strings take `hint`, cut to the schema's length.

    Follows local `$ref`s, takes the first of enum, anyOf and oneOf, the least number allowed.
    What it cannot satisfy (patterns) it ignores. A schema of a few lines can ask for millions of
    values: what is too deep, or comes after the first 2,000, is None.
    """
    return _Builder(schema, hint).value(schema, 0)


class _Builder:
    def __init__(self, schema: Any, hint: str) -> None:
        self._root = schema if isinstance(schema, Mapping) else {}
        self._hint = hint
        self._left = _MAX_NODES

    def value(self, schema: Any, depth: int) -> Any:
        self._left -= 1
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH or self._left < 0:
            return None
        if "$ref" in schema:
            reference = str(schema["$ref"])
            self._left -= len(reference) // _CHARS_PER_NODE
            return self.value(_resolve(reference, self._root), depth + 1)
        for fixed in ("const", "default"):
            if fixed in schema:
                return self._given(schema[fixed])
        if choices := _list(schema.get("enum")):
            return self._given(choices[0])
        for union in ("anyOf", "oneOf", "allOf"):
            if branches := _list(schema.get(union)):
                return self.value(branches[0], depth + 1)
        return self._typed(schema, depth)

    def _given(self, value: Any) -> Any:
        """A value that the schema itself holds."""
        self._left -= len(str(value)) // _CHARS_PER_NODE
        return value

    def _typed(self, schema: Mapping[str, Any], depth: int) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((name for name in kind if name != "null"), "null")
        if kind == "object" or (kind is None and "properties" in schema):
            properties = schema.get("properties")
            if not isinstance(properties, Mapping):
                return {}
            return {key: self.value(sub, depth + 1) for key, sub in properties.items()}
        if kind == "array":
            count = min(max(_count(schema.get("minItems"), 1), 0), _MAX_ITEMS)
            return [self.value(schema.get("items"), depth + 1) for _ in range(count)]
        if kind == "integer":
            return _least_integer(schema)
        if kind == "number":
            return _least_number(schema)
        if kind == "boolean":
            return True
        return None if kind == "null" else self._given(_string(schema, self._hint))


def _least_integer(schema: Mapping[str, Any]) -> int:
    lowest = [math.ceil(bound) for bound in _bounds(schema, "minimum")]
    lowest += [math.floor(bound) + 1 for bound in _bounds(schema, "exclusiveMinimum")]
    if lowest:
        return max(lowest)
    highest = [math.floor(bound) for bound in _bounds(schema, "maximum")]
    highest += [math.ceil(bound) - 1 for bound in _bounds(schema, "exclusiveMaximum")]
    return min([0, *highest])


def _least_number(schema: Mapping[str, Any]) -> float:
    """The least; above a bound that is itself excluded, one more, or the middle if that is near."""
    above, below = _bounds(schema, "exclusiveMinimum"), _bounds(schema, "exclusiveMaximum")
    lowest = max([*_bounds(schema, "minimum"), *above], default=None)
    highest = min([*_bounds(schema, "maximum"), *below], default=None)
    if lowest is None:
        if highest is None or highest > 0:
            return 0
        return highest - 1 if highest in below else highest
    if lowest not in above:
        return lowest
    return lowest + 1 if highest is None or lowest + 1 < highest else (lowest + highest) / 2


def _bounds(schema: Mapping[str, Any], name: str) -> list[float]:
    """The bound of this name, or none."""
    bound = schema.get(name)
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        return []
    return [bound] if abs(bound) < _MAX_BOUND else []


def _string(schema: Mapping[str, Any], hint: str) -> str:
    text = _FORMATS.get(str(schema.get("format")), hint)
    text = text.ljust(min(_count(schema.get("minLength"), 0), _MAX_LENGTH), ".")
    return text[: max(0, _count(schema.get("maxLength"), _MAX_LENGTH))]


def _count(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    node: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        node = node.get(part) if part and isinstance(node, Mapping) else node
    return node
