"""`requestMetadata` and `serviceTier`: what a client may say, and which keys are ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from tenantry.application.upstream import CLIENT_METADATA_MAX, OWN_METADATA
from tenantry.domain.errors import BadRequest

HEADER_CHARS_MAX: Final = 8_500  # of X-Amzn-Bedrock-Request-Metadata (service model)
SERVICE_TIERS: Final = ("default", "flex", "priority", "reserved")

# The service model's pattern of keys (1 to 256 characters) and values (0 to 256).
_KEY = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{1,256}", re.ASCII)
_VALUE = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{0,256}", re.ASCII)


def request_metadata(value: Any, *, field: str = "requestMetadata") -> dict[str, str]:
    """The client's own metadata, which its API calls `field`. Raises `BadRequest`, also for the
    keys that attribute a call."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadRequest(f"`{field}` must be an object of strings.")
    ours = sorted(OWN_METADATA & value.keys())
    if ours:
        raise BadRequest(f"`{field}` must not hold the reserved key `{ours[0]}`.")
    if len(value) > CLIENT_METADATA_MAX:
        raise BadRequest(f"`{field}` holds at most {CLIENT_METADATA_MAX} keys.")
    for key, item in value.items():
        if not isinstance(item, str):
            raise BadRequest(f"`{field}` must be an object of strings.")
        if not _KEY.fullmatch(key) or not _VALUE.fullmatch(item):
            raise BadRequest(
                f"`{field}` takes up to 256 letters, digits, spaces and `:_@$#=/+,-.`."
            )
    return dict(value)


def request_metadata_header(text: str | None) -> dict[str, str]:
    """The same from InvokeModel's header, a JSON object."""
    if text is None:
        return {}
    if len(text) > HEADER_CHARS_MAX:
        raise BadRequest(
            f"X-Amzn-Bedrock-Request-Metadata is longer than {HEADER_CHARS_MAX:,} characters."
        )
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadRequest("X-Amzn-Bedrock-Request-Metadata must be a JSON object.") from None
    if not isinstance(value, dict):
        raise BadRequest("X-Amzn-Bedrock-Request-Metadata must be a JSON object.")
    return request_metadata(value)


def service_tier(value: Any) -> str | None:
    """`{"type": "priority"}` as the tier's name."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or set(value) != {"type"}:
        raise BadRequest("`serviceTier` must be an object with `type` alone.")
    return service_tier_name(value["type"])


def service_tier_name(value: Any) -> str | None:
    if value is not None and value not in SERVICE_TIERS:
        raise BadRequest(f"`serviceTier.type` must be one of {', '.join(SERVICE_TIERS)}.")
    return value if value is None else str(value)
