"""The words of the tables: what a route takes and answers, by types that msgspec describes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tenantry.entrypoints.http.described import FILTERS, REF, Schema

JSON: Final = "application/json"
HTML: Final = "text/html"
EVENTS: Final = "text/event-stream"
FRAMES: Final = "application/vnd.amazon.eventstream"
BYTES: Final = "application/octet-stream"
_REFERRED: Final = re.compile(r'"#/components/(\w+)/([^"]+)"')


@dataclass(frozen=True, slots=True)
class PageOf:
    """A list by pages, `{data, next_cursor}`, of rows of one kind."""

    kind: Any
    more: Mapping[str, Schema] = field(default_factory=dict)  # members beside them

    def schema(self, row: Schema) -> Schema:
        members = {
            **self.more,
            "data": {"type": "array", "items": row},
            "next_cursor": {"type": ["string", "null"]},
        }
        return {"type": "object", "properties": members, "required": list(members)}


Kind = Any  # a type that msgspec describes, a `PageOf` one, or a schema that is a dict


@dataclass(frozen=True, slots=True)
class Body:
    """What a route takes. `also`: what the parser asks beyond the type, as a further schema."""

    kind: Kind
    also: Schema | None = None
    form: Schema | None = None  # `multipart/form-data` beside JSON


@dataclass(frozen=True, slots=True)
class Answer:
    """One status that a route answers with; `kind` None: without a body."""

    kind: Kind = None
    status: int = 200
    says: str = "Done"
    media: tuple[str, ...] = (JSON,)
    others: Mapping[str, Schema] = field(default_factory=dict)  # further media types
    headers: tuple[str, ...] = ()  # of `headers.HEADERS`


class Schemas:
    """The schemas of some types, and the components that they refer to.

    `known`: further components, by hand, of which those that are referred to are taken.
    """

    def __init__(self, kinds: Iterable[Kind], known: Mapping[str, Schema]) -> None:
        types = list({id(kind): kind for kind in map(_inner, kinds) if _is_type(kind)}.values())
        found, components = msgspec.json.schema_components(types, ref_template=REF)
        self._of = {id(kind): _renamed(schema) for kind, schema in zip(types, found, strict=True)}
        self._types = types  # so that no other type gets the id of one of these
        self._components = {**FILTERS, **known}
        for name, schema in components.items():
            public = _public(name)
            assert public not in self._components, f"two schemas are called {public}"
            self._components[public] = {**_renamed(schema), "title": public}

    def of(self, kind: Kind) -> Schema:
        inner = _inner(kind)
        schema = self._of[id(inner)] if _is_type(inner) else inner
        return kind.schema(schema) if isinstance(kind, PageOf) else schema

    def used_by(self, told: object) -> dict[str, Schema]:
        """The components that `told` leads to."""
        used: dict[str, Schema] = {}
        pending = referred(told, "schemas")
        while pending:
            name = pending.pop()
            if name not in used:
                used[name] = self._components[name]
                pending |= referred(used[name], "schemas")
        return dict(sorted(used.items()))


def ref(name: str) -> Schema:
    return {"$ref": REF.format(name=name)}


def referred(told: object, kind: str) -> set[str]:
    """The components of a kind that `told` names."""
    text = msgspec.json.encode(told).decode()
    return {name for among, name in _REFERRED.findall(text) if among == kind}


def nothing_but(members: Mapping[str, Schema], *required: str) -> Schema:
    """An object that is closed."""
    return {
        "type": "object",
        "properties": dict(members),
        "required": list(required),
        "additionalProperties": False,
    }


def _inner(kind: Kind) -> Kind:
    return kind.kind if isinstance(kind, PageOf) else kind


def _is_type(kind: Kind) -> bool:
    return kind is not None and not isinstance(kind, dict)


def _public(name: str) -> str:
    """A component's name: that of a struct without the underscore of what is private to a module,
    and without the module that msgspec says where two have one name."""
    return name.rpartition(".")[2].lstrip("_")


def _renamed(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: _public_ref(value) if key == "$ref" else _renamed(value)
            for key, value in schema.items()
        }
    return [_renamed(item) for item in schema] if isinstance(schema, list) else schema


def _public_ref(target: str) -> str:
    return REF.format(name=_public(target.rpartition("/")[2]))
