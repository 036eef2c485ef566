"""Members that no model here reads, held to the service model of Converse all the same.

A shape says what a JSON value is; members that it does not name are let be, as by the service.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bedrock_emulator.engine import errors, media
from bedrock_emulator.engine.requests import checks


@dataclass(frozen=True, slots=True)
class Text:
    least: int = 0  # characters
    most: int | None = None
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Items:
    of: Shape


@dataclass(frozen=True, slots=True)
class Structure:
    members: Mapping[str, Shape]
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Union:
    """A structure that has one of its members, and no other."""

    name: str
    members: Mapping[str, Shape] = field(default_factory=dict)


Shape = Text | Items | Structure | Union | Literal["boolean", "whole", "blob"]


def hold(value: Any, shape: Shape, path: str) -> None:
    """Raises EmulatedError (400) with the first fault; null stands for a member left out."""
    if isinstance(shape, Text):
        _hold_text(checks.as_text(value, path.replace(".", "/")), shape, path)
    elif isinstance(shape, Items):
        for index, item in enumerate(checks.as_list(value, path.replace(".", "/"))):
            hold(item, shape.of, f"{path}.{index}")
    elif isinstance(shape, Structure):
        members = checks.as_object(value, path.replace(".", "/"))
        for name in shape.required:
            if members.get(name) is None:
                raise errors.missing(f"{path}.{name}")
        for name, of in shape.members.items():
            if members.get(name) is not None:
                hold(members[name], of, f"{path}.{name}")
    elif isinstance(shape, Union):
        name, member = checks.only_member(value, path, shape.name)
        if name not in shape.members:
            raise errors.extraneous_key("/" + path.replace(".", "/"), name)
        hold(member, shape.members[name], f"{path}.{name}")
    else:
        _hold_scalar(value, shape, path)


def _hold_text(text: str, shape: Text, path: str) -> None:
    if len(text) < shape.least:
        raise errors.too_short(path)
    if shape.most is not None and len(text) > shape.most:
        raise errors.too_long(path, shape.most)
    if shape.pattern is not None and not re.fullmatch(shape.pattern, text):
        raise errors.no_match(path, text, shape.pattern)


def _hold_scalar(value: Any, kind: str, path: str) -> None:
    where = path.replace(".", "/")
    if kind == "boolean" and not isinstance(value, bool):
        raise errors.wrong_type(where, "boolean")
    if kind == "whole":
        if isinstance(value, bool) or not isinstance(value, int):
            raise errors.wrong_type(where, "integer")
        if value < 0:
            raise errors.too_low(path, value, 0)
    if kind == "blob" and media.decode(checks.as_text(value, where)) is None:
        raise errors.no_base64(path)


TEXT = Text()
_TEXT_MEMBER: dict[str, Shape] = {"text": TEXT}
CITED = Structure({"enabled": "boolean"}, ("enabled",))
SEARCH_RESULT = Structure(
    {
        "source": TEXT,
        "title": TEXT,
        "content": Items(Structure(_TEXT_MEMBER, ("text",))),
        "citations": CITED,
    },
    ("source", "title", "content"),
)
_REASONING = Union(
    "ReasoningContentBlock",
    {
        "reasoningText": Structure({"text": TEXT, "signature": TEXT}, ("text",)),
        "redactedContent": "blob",
    },
)
_IN_DOCUMENT = Structure({"documentIndex": "whole", "start": "whole", "end": "whole"})
_LOCATION = Union(
    "CitationLocation",
    {
        "web": Structure({"url": TEXT, "domain": TEXT}),
        "documentChar": _IN_DOCUMENT,
        "documentPage": _IN_DOCUMENT,
        "documentChunk": _IN_DOCUMENT,
        "searchResultLocation": Structure(
            {"searchResultIndex": "whole", "start": "whole", "end": "whole"}
        ),
    },
)
_CITATION = Structure(
    {
        "title": TEXT,
        "source": TEXT,
        "sourceContent": Items(Union("CitationSourceContent", _TEXT_MEMBER)),
        "location": _LOCATION,
    }
)
_CITATIONS = Structure(
    {
        "content": Items(Union("CitationGeneratedContent", _TEXT_MEMBER)),
        "citations": Items(_CITATION),
    }
)
_TOOL_CHANGE = Structure(
    {"tool": Structure({"type": Text(1, 64), "name": Text(1, 128), "serverName": Text(1, 128)})},
    ("tool",),
)
# Blocks of a message that are held to their shapes and nothing else.
BLOCKS: Mapping[str, Shape] = {
    "reasoningContent": _REASONING,
    "citationsContent": _CITATIONS,
    "toolAddition": _TOOL_CHANGE,
    "toolRemoval": _TOOL_CHANGE,
}
DOCUMENT = Structure({"name": TEXT, "context": TEXT, "citations": CITED})
DOCUMENT_CONTENT = Items(Union("DocumentContentBlock", _TEXT_MEMBER))
S3_LOCATION = Structure(
    {
        "uri": Text(1, 1_024, r"s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?"),
        "bucketOwner": Text(pattern="[0-9]{12}"),
    },
    ("uri",),
)
SYSTEM_TOOL = Structure({"name": Text(1, checks.WORD_MAX, checks.TOOL_NAME)}, ("name",))
ANSWER_FORMAT = Union(
    "OutputFormatStructure",
    {"jsonSchema": Structure({"schema": TEXT, "name": TEXT, "description": TEXT}, ("schema",))},
)
FIELD_PATHS = Items(Text(1, 256))
