"""Builds a value that a JSON schema allows: simple, deterministic, bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MAX_DEPTH = 12
_MAX_ITEMS = 100
_MAX_LENGTH = 10_000
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
    What it cannot satisfy (patterns) it ignores.
    """
    root = schema if isinstance(schema, Mapping) else {}
    return _value(schema, root, hint, 0)


def _value(schema: Any, root: Mapping[str, Any], hint: str, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return None
    if "$ref" in schema:
        return _value(_resolve(schema["$ref"], root), root, hint, depth + 1)
    for fixed in ("const", "default"):
        if fixed in schema:
            return schema[fixed]
    if choices := _list(schema.get("enum")):
        return choices[0]
    for union in ("anyOf", "oneOf", "allOf"):
        if branches := _list(schema.get(union)):
            return _value(branches[0], root, hint, depth + 1)
    return _typed(schema, root, hint, depth)


def _typed(schema: Mapping[str, Any], root: Mapping[str, Any], hint: str, depth: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if kind == "object" or (kind is None and "properties" in schema):
        properties = schema.get("properties")
        if not isinstance(properties, Mapping):
            return {}
        return {key: _value(sub, root, hint, depth + 1) for key, sub in properties.items()}
    if kind == "array":
        count = min(max(_number(schema.get("minItems"), 1), 0), _MAX_ITEMS)
        return [_value(schema.get("items"), root, hint, depth + 1) for _ in range(count)]
    if kind in ("integer", "number"):
        return _least(schema)
    if kind == "boolean":
        return True
    return None if kind == "null" else _string(schema, hint)


def _least(schema: Mapping[str, Any]) -> Any:
    if "minimum" in schema:
        return schema["minimum"]
    if "exclusiveMinimum" in schema:
        return _number(schema["exclusiveMinimum"], 0) + 1
    return min(0, _number(schema.get("maximum"), 0))


def _string(schema: Mapping[str, Any], hint: str) -> str:
    text = _FORMATS.get(str(schema.get("format")), hint)
    text = text.ljust(min(_number(schema.get("minLength"), 0), _MAX_LENGTH), ".")
    return text[: max(0, _number(schema.get("maxLength"), _MAX_LENGTH))]


def _number(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _resolve(reference: Any, root: Mapping[str, Any]) -> Any:
    node: Any = root
    for part in str(reference).removeprefix("#").strip("/").split("/"):
        node = node.get(part) if part and isinstance(node, Mapping) else node
    return node
