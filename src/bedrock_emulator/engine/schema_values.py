"""Builds a value that a JSON schema allows: simple, deterministic, bounded.

What can be there is there: every property, one item in each array, the first branch of a union.
Inside a definition that stands within itself, below the depth and past the number of values that
are made, it is as short as can be: no property that is not required, no item, null where it may be.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bedrock_emulator.engine.schema_leaves import count, decimal, integer, text

_OBJECTS_MAX = 24  # one in the other; deeper, values are as short as can be
_LEVELS_MAX = 90  # of objects, arrays, references and unions: what is deeper is null
_NODES_MAX = 2_000  # values; after them, what is left is as short as can be
_SHORT_MAX = 500  # of which so many more are made; after them, null
_CHARS_PER_NODE = 1_000  # a longer text counts as that many nodes more
_ITEMS_MAX = 100
_ROOT = "#"


def build(schema: Any, hint: str) -> Any:
    """A value for `schema`; free strings take `hint`, cut to the schema's length.

    Follows local `$ref`s, takes the first of enum, anyOf and oneOf, the least number allowed. What
    it cannot satisfy (patterns, not, if, contains) it ignores. A schema of a few lines can ask for
    millions of values: the first 2,000 are made as they come, the next so short as they may be, and
    the rest is None.
    """
    return _Builder(schema, hint).value(schema, _Place())


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the value: how deep, in which definitions, which of several that differ."""

    objects: int = 0
    levels: int = 0
    within: frozenset[str] = frozenset({_ROOT})
    short: bool = False
    number: int = 0

    def inside(self, *, of_object: bool) -> _Place:
        objects = self.objects + of_object
        short = self.short or objects > _OBJECTS_MAX
        return replace(self, objects=objects, levels=self.levels + 1, short=short)

    def of(self, reference: str) -> _Place:
        short = self.short or reference in self.within
        within = self.within | {reference}
        return replace(self, levels=self.levels + 1, within=within, short=short)


class _Builder:
    def __init__(self, schema: Any, hint: str) -> None:
        self._root = schema if isinstance(schema, Mapping) else {}
        self._hint = hint
        self._left = _NODES_MAX + _SHORT_MAX

    def value(self, schema: Any, place: _Place) -> Any:
        self._left -= 1
        schema = {} if schema is True else schema
        if not isinstance(schema, Mapping) or place.levels > _LEVELS_MAX or self._left < 0:
            return None
        if self._left < _SHORT_MAX and not place.short:
            place = replace(place, short=True)
        if "const" in schema:
            return self._given(schema["const"])
        if "default" in schema and not place.number:
            return self._given(schema["default"])
        if choices := _list(schema.get("enum")):
            return self._given(choices[place.number % len(choices)])
        if "$ref" in schema:
            reference = _normal(str(schema["$ref"]))
            self._left -= len(reference) // _CHARS_PER_NODE
            target = _resolve(reference, self._root)
            return self.value(_joined(_without(schema, "$ref"), [target]), place.of(reference))
        for union in ("anyOf", "oneOf"):
            if branches := _list(schema.get(union)):
                chosen = self._branch(branches, place)
                whole = _joined(_without(schema, union), [chosen])
                return self.value(whole, place.inside(of_object=False))
        if parts := _list(schema.get("allOf")):
            return self._all(_without(schema, "allOf"), parts, place)
        return self._typed(schema, place)

    def _all(self, schema: Mapping[str, Any], parts: list[Any], place: _Place) -> Any:
        """What all parts and the schema around them allow; their references are followed once."""
        followed = []
        for part in parts:
            if isinstance(part, Mapping) and "$ref" in part:
                reference = _normal(str(part["$ref"]))
                place = place.of(reference)
                part = _joined(_without(part, "$ref"), [_resolve(reference, self._root)])
            followed.append(part)
        return self.value(_joined(schema, followed), place.inside(of_object=False))

    def _given(self, value: Any) -> Any:
        """A value that the schema itself holds."""
        self._left -= len(str(value)) // _CHARS_PER_NODE
        return value

    def _branch(self, branches: list[Any], place: _Place) -> Any:
        """The first; where it is to be short, null, a plain value, or what is not around it."""
        if not place.short:
            return branches[0]
        return min(branches, key=lambda branch: _length(branch, place))

    def _typed(self, schema: Mapping[str, Any], place: _Place) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            shortest = "null" if place.short and "null" in kind else None
            kind = shortest or next((name for name in kind if name != "null"), "null")
        if kind == "object" or (kind is None and ("properties" in schema or "required" in schema)):
            return self._object(schema, place)
        if kind == "array" or (kind is None and ("items" in schema or "prefixItems" in schema)):
            return self._array(schema, place)
        if kind == "integer":
            return integer(schema, place.number)
        if kind == "number":
            return decimal(schema, place.number)
        if kind == "boolean":
            return place.number % 2 == 0
        return None if kind == "null" else self._given(text(schema, self._hint, place.number))

    def _object(self, schema: Mapping[str, Any], place: _Place) -> dict[str, Any]:
        inner = place.inside(of_object=True)
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = [name for name in _list(schema.get("required")) if isinstance(name, str)]
        more = schema.get("additionalProperties", True)
        wanted = required if inner.short else [*properties, *required]
        made = {
            name: self.value(properties.get(name, more), inner)
            for name in dict.fromkeys(wanted)
            if properties.get(name) is not False or name in required
        }
        least = min(count(schema.get("minProperties"), 0), _ITEMS_MAX)
        for name in self._names(schema, least, inner):
            if len(made) >= least or more is False:
                break
            if name not in made:
                made[name] = self.value(properties.get(name, more), inner)
        return made

    def _names(self, schema: Mapping[str, Any], least: int, place: _Place) -> Iterable[str]:
        """Names of properties that the schema does not name: those that it allows, or numbers."""
        form = schema.get("propertyNames")
        for number in range(2 * least):
            made = self.value(form, replace(place, number=number)) if form is not None else None
            yield made if isinstance(made, str) else f"key{number + 1}"

    def _array(self, schema: Mapping[str, Any], place: _Place) -> list[Any]:
        inner = place.inside(of_object=False)
        first = _list(schema.get("prefixItems")) or _list(schema.get("items"))
        more = schema.get("items", True)
        if isinstance(more, list):
            more = schema.get("additionalItems", True)
        least = max(0, count(schema.get("minItems"), 0))
        wanted = least if inner.short else max(least, len(first) or 1)
        wanted = min(wanted, count(schema.get("maxItems"), _ITEMS_MAX), _ITEMS_MAX)
        if more is False:
            wanted = min(wanted, len(first))
        if schema.get("uniqueItems") is True:
            return self._different(first, more, wanted, inner)
        return [self.value(first[i] if i < len(first) else more, inner) for i in range(wanted)]

    def _different(self, first: list[Any], more: Any, wanted: int, place: _Place) -> list[Any]:
        """Items of which no two are equal, or as many as are found."""
        made: dict[str, Any] = {}
        for number in range(2 * wanted):
            form = first[len(made)] if len(made) < len(first) else more
            item = self.value(form, replace(place, number=number))
            made.setdefault(json.dumps(item, sort_keys=True), item)
            if len(made) == wanted:
                break
        return list(made.values())


def _length(branch: Any, place: _Place) -> int:
    """How far a branch of a union is from its end, roughly: the least is soonest there."""
    if not isinstance(branch, Mapping):
        return 9
    if "$ref" in branch:
        return 4 if _normal(str(branch["$ref"])) in place.within else 3
    kind = branch.get("type")
    if kind == "null" or ("const" in branch and branch["const"] is None):
        return 0
    return 2 if kind == "object" or "properties" in branch else 1


def _joined(base: Mapping[str, Any], parts: list[Any]) -> Any:
    """One schema of several that hold together: properties and required members of all."""
    whole = dict(base)
    for part in parts:
        if not isinstance(part, Mapping):
            if part is not True and len(parts) == 1 and not base:
                return part
            continue
        mine, its = whole.get("properties"), part.get("properties")
        required = [*_list(whole.get("required")), *_list(part.get("required"))]
        kept = {name: value for name, value in whole.items() if name in ("default", "const")}
        whole = {**whole, **part, **kept}
        if isinstance(mine, Mapping) and isinstance(its, Mapping):
            whole["properties"] = {**mine, **its}
        if required:
            whole["required"] = required
    return whole


def _without(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in (name, "$defs")}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _normal(reference: str) -> str:
    return reference.rstrip("/") or _ROOT


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    node: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        node = node.get(name) if part and isinstance(node, Mapping) else node
    return node
