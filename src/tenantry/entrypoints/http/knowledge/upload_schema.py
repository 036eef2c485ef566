"""What an upload may hold, as `tenantry.domain.upload` reads it. Described; checked there alone."""

from __future__ import annotations

from typing import Any, Final

from tenantry.domain.access import TAG_CHARS_MAX, TAGS_MAX
from tenantry.domain.upload import (
    CONTROLS,
    METADATA_KEY_CHARS_MAX,
    METADATA_KEYS_MAX,
    METADATA_LIST_MAX,
    METADATA_TEXT_CHARS_MAX,
    TITLE_CHARS_MAX,
)

_SPOKEN: Final = r"\S"
_TEXT: Final = {"type": "string", "maxLength": METADATA_TEXT_CHARS_MAX}
_VALUE: Final = {
    "anyOf": [
        _TEXT,
        {"type": "number", "minimum": -(2**63), "maximum": 2**63 - 1},
        {"type": "boolean"},
        {"type": "array", "items": _TEXT, "maxItems": METADATA_LIST_MAX},
    ]
}
_METADATA: Final = {
    "type": ["object", "null"],
    "maxProperties": METADATA_KEYS_MAX,
    "propertyNames": {
        "minLength": 1,
        "maxLength": METADATA_KEY_CHARS_MAX,
        "pattern": f"^[^{CONTROLS}]*$",
    },
    "additionalProperties": _VALUE,
}
_TITLE: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": TITLE_CHARS_MAX,
    "pattern": _SPOKEN,
}
_TAG: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": TAG_CHARS_MAX,
    "pattern": r"^[^,]*[^,\s][^,]*$",
}
_TAGS: Final = {"type": "array", "items": _TAG, "maxItems": TAGS_MAX}

UPLOAD_TEXT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "title": _TITLE,
        "text": {"type": "string", "minLength": 1, "pattern": _SPOKEN},
        "metadata": _METADATA,
        "access": {**_TAGS, "type": ["array", "null"]},
    },
    "required": ["title", "text"],
    "additionalProperties": False,
}
UPLOAD_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "file": {
            "type": "string",
            "format": "binary",
            "description": "With a file name, which is the title where none is given.",
        },
        "title": _TITLE,
        "metadata": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": _METADATA,
        },
        "access": {**_TAGS, "description": "A field each, or one that is a JSON list."},
    },
    "required": ["file"],
    "additionalProperties": False,
}
