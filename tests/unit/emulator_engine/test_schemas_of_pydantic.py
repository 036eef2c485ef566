"""What is made for a schema that pydantic wrote is taken by the model that it was written for."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from bedrock_emulator.engine.schema_values import build


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Leaf(BaseModel):
    name: str
    size: int = Field(gt=0)


class Branch(BaseModel):
    leaves: list[Leaf] | None
    spare: list[Leaf] | None = None


class Limb(BaseModel):
    branches: list[Branch] | None


class Trunk(BaseModel):
    limbs: list[Limb] | None


class Wood(BaseModel):
    trunks: list[Trunk] | None


class Tree(BaseModel):
    label: str
    children: list[Tree]


class Chain(BaseModel):
    value: int
    following: Chain | None


class Wide(BaseModel):
    value: str
    left: Wide | None
    middle: Wide | None
    right: Wide | None
    others: dict[str, Wide]


class Literals(BaseModel):
    kind: Literal["literal"]
    value: bool


class Both(BaseModel):
    kind: Literal["both"]
    left: Expression
    right: Expression


class Negation(BaseModel):
    kind: Literal["not"]
    inner: Expression


Expression = Annotated[Negation | Both | Literals, Field(discriminator="kind")]


class Rule(BaseModel):
    rule: Expression


class Point(NamedTuple):
    x: int
    label: str


class Figures(BaseModel):
    even: int = Field(multiple_of=2, gt=3)
    share: float = Field(multiple_of=0.25, gt=0.3, le=1)
    low: int = Field(multiple_of=5, lt=-7)
    money: Decimal
    few: float = Field(gt=0, lt=1)


class Collections(BaseModel):
    words: set[str] = Field(min_length=3)
    short: set[Annotated[str, Field(max_length=2)]] = Field(min_length=3)
    numbers: set[Annotated[int, Field(ge=1, le=3)]] = Field(min_length=3)
    ids: set[UUID] = Field(min_length=2)
    colours: set[Colour] = Field(min_length=2)
    none: list[str] = Field(max_length=0)
    pair: tuple[int, str]
    many: tuple[Leaf, ...]
    point: Point
    counts: dict[str, int] = Field(min_length=2)
    by_colour: dict[Colour, Leaf] = Field(min_length=2)
    empty: dict[str, int]


class Formats(BaseModel):
    day: date
    moment: datetime
    hour: time
    span: timedelta
    identity: UUID
    address: IPv4Address
    days: set[date] = Field(min_length=40)
    colour: Colour = Colour.BLUE
    kind: Literal[3, "three"]
    free: Any
    raw: object


Deep: Any = Leaf
for _level in range(20):

    class _Holder(BaseModel):
        inner: Deep  # type: ignore[valid-type]

    _Holder.__name__ = _Holder.__qualname__ = f"Holder{_level}"
    Deep = _Holder

SHAPES = [
    *(Wood, Tree, Chain, Wide, Rule, Figures, Collections, Formats),
    *(list[Tree], tuple[Tree, Chain], Wood | None, Expression),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("hint", ["In which city?", ""])
def test_a_schema_of_pydantic_is_satisfied(shape, hint) -> None:
    adapter = TypeAdapter(shape)
    adapter.validate_python(build(adapter.json_schema(), hint))


def test_objects_in_objects_are_all_filled() -> None:
    TypeAdapter(Deep).validate_python(build(TypeAdapter(Deep).json_schema(), "hint"))


def test_what_may_be_there_is_there() -> None:
    made = Wood.model_validate(build(Wood.model_json_schema(), "hint"))
    assert made.trunks[0].limbs[0].branches[0].leaves == [Leaf(name="hint", size=1)]
    tree = Tree.model_validate(build(Tree.model_json_schema(), "hint"))
    assert [child.children for child in tree.children] == [[]]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}]}, [0, None]),
        ({"type": "array", "items": [{"type": "integer"}, {"type": "string"}]}, [0, "hint"]),
        ({"type": "array", "prefixItems": [{"const": 1}], "minItems": 3}, [1, "hint", "hint"]),
        ({"type": "array", "items": False}, []),
        ({"type": "array", "maxItems": 0, "items": {"type": "string"}}, []),
        ({"type": "array", "uniqueItems": True, "items": {"const": 1}, "minItems": 2}, [1]),
        ({"type": "object", "required": ["a"]}, {"a": "hint"}),
        ({"type": "object", "properties": {"a": False, "b": True}}, {"b": "hint"}),
        ({"type": ["null", "integer"]}, 0),
        ({"type": "integer", "multipleOf": 1.5, "minimum": 1}, 3),
        ({"type": "number", "multipleOf": 0}, 0),
        ({"$ref": "#"}, None),
        ({"allOf": [{"$ref": "#"}]}, None),
        ({"type": "integer", "minimum": 1e299}, 0),
        ({"type": "number", "minimum": 1e299, "multipleOf": 2}, 1e299),
        (
            {"type": "object", "properties": {"a": {"allOf": [{"$ref": "#"}]}}},
            {"a": {}},
        ),
        (
            {
                "allOf": [{"$ref": "#/$defs/a"}, {"required": ["y"]}],
                "$defs": {"a": {"type": "object", "properties": {"x": {"const": 1}}}},
            },
            {"x": 1, "y": "hint"},
        ),
        (
            {"type": "object", "properties": {"x": {"const": 1}}, "anyOf": [{"required": ["x"]}]},
            {"x": 1},
        ),
    ],
)
def test_members_of_a_schema_are_read(schema, value) -> None:
    assert build(schema, "hint") == value
