"""Reads what the control plane's inference profile operations are asked, as Bedrock checks it."""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import orjson

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.types import EmulatedError
from bedrock_emulator.inference_profiles import Wanted, check_tag_count
from bedrock_emulator.nesting import DEPTH_MAX, too_deep

DEFAULT_PAGE = 100
PAGE_MAX = 1_000
TYPES = ("SYSTEM_DEFINED", "APPLICATION")
# Patterns and lengths: the service model of `bedrock` in botocore 1.44.5. The patterns are written
# so that no text can make them look back, and mean the same.
_NAME = re.compile(r"[0-9a-zA-Z](?:[ _-]?[0-9a-zA-Z])*[ _-]?")
_DESCRIPTION = re.compile(r"[0-9a-zA-Z:.](?:[ _-]?[0-9a-zA-Z:.])*[ _-]?")
_TOKEN = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,254}[a-zA-Z0-9])?")
_SOURCE = re.compile(
    r"arn:aws[a-z-]{0,7}:bedrock:[0-9a-z-]{0,20}:(?:[0-9]{12})?:"
    r"(?:inference-profile|foundation-model)/[a-zA-Z0-9.:-]+"
)
_TAG = re.compile(r"[a-zA-Z0-9\s._:/=+@-]*")


def json_object(body: bytes) -> dict[str, Any]:
    """Raises SerializationException or ValidationException (400)."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise EmulatedError("SerializationException", 400, str(error)) from error
    if not isinstance(document, dict):
        raise EmulatedError("SerializationException", 400, "The body is not a JSON object.")
    if too_deep(document, body):
        raise errors.validation(f"The body is nested deeper than {DEPTH_MAX} levels.")
    return document


def wanted_profile(document: Mapping[str, Any]) -> Wanted:
    """The profile that a CreateInferenceProfile asks for. Raises ValidationException."""
    source = document.get("modelSource")
    if not isinstance(source, dict):
        raise invalid("modelSource", "Member must not be null")
    tags = {} if document.get("tags") is None else given_tags(document)
    check_tag_count(tags)
    return Wanted(
        name=_text(document, "inferenceProfileName", 64, _NAME),
        copied_from=_text(source, "copyFrom", 2_048, _SOURCE),
        description=_optional(document, "description", 200, _DESCRIPTION),
        tags=tags,
        token=_optional(document, "clientRequestToken", 256, _TOKEN),
    )


def given_tags(document: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a TagResource. Raises ValidationException."""
    return _tags(document.get("tags"))


def given_tag_keys(document: Mapping[str, Any]) -> list[str]:
    """The keys of an UntagResource. Raises ValidationException."""
    keys = document.get("tagKeys")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise invalid("tagKeys", "Member must be a list of strings")
    return keys


def resource_arn(document: Mapping[str, Any]) -> str:
    arn = document.get("resourceARN")
    if not isinstance(arn, str) or not 20 <= len(arn) <= 1_011:
        raise invalid("resourceARN", "Member must have 20 to 1011 characters")
    return arn


class Page:
    """What a ListInferenceProfiles asks for; raises ValidationException."""

    def __init__(self, raw_query: str) -> None:
        query = {name: values[-1] for name, values in parse_qs(raw_query).items()}
        self.size = page_size(query, DEFAULT_PAGE)
        self.type = query.get("type")
        if self.type not in (None, *TYPES):
            raise invalid("typeEquals", f"Member must satisfy enum value set: {list(TYPES)}")
        self._after = cursor(query.get("nextToken"))

    def cut(self, items: list[tuple[str, Any]]) -> tuple[list[Any], str | None]:
        """The page of items, each with a name that orders them, and the token of the next."""
        left = sorted((i for i in items if i[0] > self._after), key=lambda item: item[0])
        page = left[: self.size]
        following = None
        if len(left) > self.size:
            following = token_for(page[-1][0])
        return [item for _, item in page], following


def page_size(query: Mapping[str, str], otherwise: int) -> int:
    """How many entries a list is asked for. Raises ValidationException."""
    size = query.get("maxResults", str(otherwise))
    if not (size.isascii() and size.isdecimal()) or not 1 <= int(size[:9]) <= PAGE_MAX:
        raise invalid("maxResults", f"Member must be from 1 to {PAGE_MAX}")
    return int(size)


def token_for(last: str) -> str:
    """The token of the page after the entry of this name."""
    return urlsafe_b64encode(last.encode()).decode()


def cursor(token: str | None) -> str:
    """The name that a token stands for; empty where there is none. Raises ValidationException."""
    if token is None:
        return ""
    try:
        if not token:
            raise ValueError("an empty token")
        return b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise invalid("nextToken", "Member is not one that was given") from error


def _tags(tags: Any) -> dict[str, str]:
    if not isinstance(tags, list):
        raise invalid("tags", "Member must be a list")
    read: dict[str, str] = {}
    for tag in tags:
        if not isinstance(tag, dict):
            raise invalid("tags", "Member must be a list of key and value")
        key = _text(tag, "key", 128, _TAG)
        if key in read:
            raise invalid("tags", f"Duplicate tag key '{key}'")
        if key.lower().startswith("aws:"):
            raise invalid("tags", "Tag keys that begin with aws: are reserved")
        read[key] = "" if tag.get("value") == "" else _text(tag, "value", 256, _TAG)
    return read


def _optional(
    members: Mapping[str, Any], name: str, longest: int, pattern: re.Pattern[str]
) -> str | None:
    return None if members.get(name) is None else _text(members, name, longest, pattern)


def _text(members: Mapping[str, Any], name: str, longest: int, pattern: re.Pattern[str]) -> str:
    value = members.get(name)
    if value is None:
        raise invalid(name, "Member must not be null")
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise invalid(name, f"Member must have length between 1 and {longest}")
    if not pattern.fullmatch(value):
        raise invalid(name, "Member must satisfy regular expression pattern")
    return value


def invalid(name: str, constraint: str) -> EmulatedError:
    """A member that breaks a constraint of the service model."""
    return errors.validation(
        f"1 validation error detected: Value at '{name}' failed to satisfy constraint: {constraint}"
    )
