"""A JSON Schema as words and lists: of what type something is, and what members it has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any, Final

Schema = Mapping[str, Any]
_CODE: Final = re.compile(r"`([^`]+)`")
_BOUNDS: Final = (  # the least, the most, of what
    ("minLength", "maxLength", " character"),
    ("minimum", "maximum", ""),
    ("minItems", "maxItems", " item"),
    ("minProperties", "maxProperties", " member"),
)
_JOINED: Final = (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and "))


def prose(text: object) -> str:
    """Words of the document; what stands between backticks is code."""
    return _CODE.sub(r"<code>\1</code>", escape(str(text)))


def code(text: object) -> str:
    return f"<code>{escape(str(text))}</code>"


def anchor(name: object) -> str:
    """Where a schema is on the page."""
    return "schema-" + re.sub(r"[^A-Za-z0-9_.-]", "-", str(name))


def type_of(schema: Schema) -> str:
    """In a few words, with links to schemas that have a name."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f'<a href="#{escape(anchor(name))}">{escape(name)}</a>'
    for keyword, joint in _JOINED:
        if keyword in schema:
            return joint.join(dict.fromkeys(type_of(part) for part in schema[keyword]))
    if "const" in schema:
        return code(json.dumps(schema["const"], ensure_ascii=False))
    if "enum" in schema:
        return " or ".join(code(json.dumps(it, ensure_ascii=False)) for it in schema["enum"])
    kinds = schema.get("type", "anything")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(_kind(kind, schema) for kind in kinds)


def _kind(kind: str, schema: Schema) -> str:
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {type_of(schema['additionalProperties'])}"
    if kind == "string" and "format" in schema:
        return f"string ({escape(str(schema['format']))})"
    return escape(kind)


def said_of(schema: Schema) -> str:
    """Its description, bounds and default, as sentences."""
    parts = [prose(schema["description"])] if schema.get("description") else []
    parts += _bounds(schema)
    for part in (*schema.get("anyOf", ()), schema.get("items", {})):
        parts += _bounds(part)
    if schema.get("default") is not None:
        parts.append(f"default {code(json.dumps(schema['default'], ensure_ascii=False))}")
    return sentence(parts)


def sentence(parts: Iterable[str]) -> str:
    """Parts of it, each once; those that end as sentences go on as parts."""
    return "; ".join(dict.fromkeys(part.removesuffix(".") for part in parts))


def _bounds(schema: Schema) -> Iterator[str]:
    for lower, upper, unit in _BOUNDS:
        match schema.get(lower), schema.get(upper):
            case None, None:
                continue
            case last, None:
                told = f"at least {last:,}"
            case None, last:
                told = f"at most {last:,}"
            case least, last:
                told = f"{least:,} to {last:,}" if least != last else f"exactly {last:,}"
        yield f"{told}{unit}{'s' if unit and last != 1 else ''}"
    if "pattern" in schema:
        yield f"matches {code(schema['pattern'])}"


def members(schema: Schema) -> Iterator[str]:
    """A list of an object's members, and of those of objects without a name in it; nothing where
    it has none."""
    if properties := schema.get("properties"):
        required = schema.get("required", ())
        yield "<dl>"
        for name, member in properties.items():
            must = " <b>required</b>" if name in required else ""
            yield f"<dt>{code(name)} <i>{type_of(member)}</i>{must}</dt>"
            if said := said_of(member):
                yield f"<dd>{said}</dd>"
            yield from _nested(member)
        yield "</dl>"
    for keyword, _ in _JOINED:
        for part in schema.get(keyword, ()):
            yield from members(part)


def _nested(schema: Schema) -> Iterator[str]:
    inner = [*members(schema)]
    for among in ("items", "additionalProperties"):
        if isinstance(schema.get(among), Mapping):
            inner += members(schema[among])
    if inner:
        yield f"<dd>{''.join(inner)}</dd>"
