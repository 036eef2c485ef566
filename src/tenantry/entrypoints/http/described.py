"""What `/openapi.json` says of members beyond their types. Pure; nothing here is checked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta

from tenantry.application.retrieval import QUERY_CHARS_MAX, TOP_K_MAX
from tenantry.domain.end_user import USER_CHARS_MAX
from tenantry.domain.filter import (
    COMPARISONS_MAX,
    DEPTH_MAX,
    KEY_CHARS_MAX,
    TEXT_CHARS_MAX,
    VALUES_MAX,
)
from tenantry.domain.money import DIGITS_MAX
from tenantry.domain.remark import REMARK_CHARS_MAX
from tenantry.domain.tenant import KEY_NAME_CHARS_MAX, TENANT_NAME_CHARS_MAX

REF: Final = "#/components/schemas/{name}"
Schema = dict[str, Any]


def described(**schema: Any) -> Meta:
    """JSON Schema of a member that is decided on behind its type: told, and not checked here, so
    that a refusal keeps the words of who decides."""
    return Meta(extra_json_schema=schema)


def referring(name: str) -> Meta:
    """The component `name`, of a member that is parsed by hand."""
    return Meta(extra_json_schema={"$ref": REF.format(name=name)})


SPOKEN: Final = r"\S"  # something else than blanks
PRINTABLE: Final = r"^[^\x00-\x1f\x7f]*$"
Name = Annotated[str, described(minLength=1, pattern=SPOKEN)]
Question = Annotated[str, described(minLength=1, maxLength=QUERY_CHARS_MAX, pattern=SPOKEN)]
TopK = Annotated[int, described(minimum=1, maximum=TOP_K_MAX)]
User = Annotated[str, described(minLength=1, maxLength=USER_CHARS_MAX, pattern=SPOKEN)]
KeyName = Annotated[str, described(maxLength=KEY_NAME_CHARS_MAX, pattern=PRINTABLE)]
TenantName = Annotated[str, described(minLength=1, maxLength=TENANT_NAME_CHARS_MAX, pattern=SPOKEN)]
Remark = Annotated[str, described(maxLength=REMARK_CHARS_MAX, pattern=PRINTABLE)]
Reason = Annotated[str, described(minLength=1, maxLength=REMARK_CHARS_MAX, pattern=SPOKEN)]
Zoned = Annotated[datetime, described(format="date-time")]
Day = Annotated[str, described(format="date")]
Currency = Annotated[str, described(pattern="^[A-Z]{3}$")]
_DIGITS: Final = f"[0-9]{{1,{DIGITS_MAX}}}"
LimitText = Annotated[str, described(pattern=rf"^{_DIGITS}(\.{_DIGITS})?$")]
Amount = Annotated[str, described(pattern=rf"^-?{_DIGITS}(\.{_DIGITS})?$")]
UserHash = Annotated[str, described(pattern="^[0-9a-f]{32}$")]
Filtering = Annotated[Any, referring("Filter")]
RetrievalFiltering = Annotated[Any, referring("RetrievalFilter")]

_SCALAR: Final[Schema] = {
    "type": ["string", "number", "boolean"],
    "maxLength": TEXT_CHARS_MAX,
    "minimum": -(2**63),
    "maximum": 2**63 - 1,
}
_ORDERED: Final[Schema] = {**_SCALAR, "type": ["string", "number"]}
_TEXT: Final[Schema] = {"type": "string", "maxLength": TEXT_CHARS_MAX}
_OPERANDS: Final[dict[str, Schema]] = {
    "equals": _SCALAR,
    "notEquals": _SCALAR,
    "greaterThan": _ORDERED,
    "greaterThanOrEquals": _ORDERED,
    "lessThan": _ORDERED,
    "lessThanOrEquals": _ORDERED,
    "in": {"type": "array", "minItems": 1, "maxItems": VALUES_MAX, "items": _SCALAR},
    "notIn": {"type": "array", "minItems": 1, "maxItems": VALUES_MAX, "items": _SCALAR},
    "startsWith": _TEXT,
    "stringContains": _TEXT,
    "listContains": _TEXT,
}
_JOINING: Final = ("andAll", "orAll")
_KEY: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX}
_BOUNDS: Final = f"At most {DEPTH_MAX} levels and {COMPARISONS_MAX} comparisons."


def _operators(node: str) -> Schema:
    """One operator; what it joins are filters of the component `node`."""
    comparisons = {
        name: {
            "type": "object",
            "properties": {"key": _KEY, "value": value},
            "required": ["key", "value"],
            "additionalProperties": False,
        }
        for name, value in _OPERANDS.items()
    }
    joined = {"type": "array", "minItems": 2, "items": {"$ref": REF.format(name=node)}}
    return {
        "type": "object",
        "properties": {**comparisons, **dict.fromkeys(_JOINING, joined)},
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }


_EQUALITIES: Final[Schema] = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": COMPARISONS_MAX,
    "propertyNames": {**_KEY, "not": {"enum": [*_OPERANDS, *_JOINING]}},
    "additionalProperties": _SCALAR,
}
_NONE: Final[Schema] = {"type": ["object", "null"], "maxProperties": 0}

# As `tenantry.domain.filter` reads them, with its shorthand and without.
FILTERS: Final[dict[str, Schema]] = {
    "Filter": {
        "description": f"Null and `{{}}`: none. {_BOUNDS}",
        "anyOf": [_NONE, {"$ref": REF.format(name="FilterNode")}],
    },
    "FilterNode": {
        "description": "One operator, or an object of equalities.",
        "anyOf": [_operators("FilterNode"), _EQUALITIES],
    },
    "RetrievalFilter": {
        "description": f"Bedrock's. {_BOUNDS}",
        "anyOf": [_NONE, {"$ref": REF.format(name="RetrievalFilterNode")}],
    },
    "RetrievalFilterNode": _operators("RetrievalFilterNode"),
}
