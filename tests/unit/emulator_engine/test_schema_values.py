"""Values made for a schema fit its bounds, and no schema makes many of them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from bedrock_emulator.engine.schema_values import build


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": "array", "minItems": 60, "items": schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {f"p{i}": {"$ref": "#"} for i in range(8)}},
        nested(6),
        {"type": "array", "minItems": 100, "items": {"type": "string", "minLength": 10_000}},
        {"type": "array", "minItems": 100, "items": {"const": "x" * 500_000}},
    ],
    ids=["references", "items", "texts", "constants"],
)
def test_a_small_schema_does_not_make_a_large_value(schema) -> None:
    began = time.thread_time()
    value = build(schema, "hint")
    assert time.thread_time() - began < 2
    assert len(json.dumps(value)) < 3_000_000


def test_a_schema_of_ordinary_size_is_filled_to_its_end() -> None:
    rows = {"type": "array", "minItems": 100, "items": {"type": "string"}}
    value = build({"type": "object", "properties": {f"p{i}": rows for i in range(15)}}, "hint")
    assert value == {f"p{i}": ["hint"] * 100 for i in range(15)}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "number", "exclusiveMinimum": 5.5}, 6.5),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, 0.25),
        ({"type": "number", "maximum": -2.5}, -2.5),
        ({"type": "number", "exclusiveMaximum": -2.5}, -3.5),
        ({"type": "number", "exclusiveMaximum": 0}, -1),
        ({"type": "number", "minimum": 2.5, "maximum": 9}, 2.5),
        ({"type": "number", "maximum": 3}, 0),
        ({"type": "number", "minimum": "x", "maximum": float("nan")}, 0),
        ({"type": "integer", "minimum": 5.5}, 6),
        ({"type": "integer", "exclusiveMinimum": 5.5}, 6),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "integer", "maximum": -2.5}, -3),
        ({"type": "integer", "exclusiveMaximum": -2}, -3),
        ({"type": "integer", "maximum": float("-inf")}, 0),
        ({"type": "integer"}, 0),
    ],
)
def test_a_number_is_within_its_bounds(schema, value) -> None:
    made = build(schema, "hint")
    assert made == value
    assert schema["type"] == "number" or isinstance(made, int)
