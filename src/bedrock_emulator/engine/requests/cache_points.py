"""Where a prompt asks to be cached: Converse's cachePoint and the class of life of every family."""

from __future__ import annotations

from typing import Any, cast

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.catalogue import Ttl
from bedrock_emulator.engine.prompt import CHECKPOINTS_MAX, Prompt
from bedrock_emulator.engine.requests import checks

_CACHE_POINTS = ("default",)  # service model, CachePointType


def read_cache_point(value: Any, prompt: Prompt) -> None:
    """A cachePoint: its class of life is 5m unless it says 1h; at most four in a prompt."""
    point = checks.as_object(value, "cachePoint")
    if point.get("type") not in _CACHE_POINTS:
        raise errors.not_in_set("cachePoint.type", point.get("type"), _CACHE_POINTS)
    mark_cache(checks.given(point, "ttl", "5m"), prompt)


def mark_cache(ttl: Any, prompt: Prompt) -> None:
    model = prompt.model
    if not model.cache_min:
        raise errors.access_denied(
            "You invoked an unsupported model or your request did not allow prompt caching. See "
            "the documentation for more information."
        )
    if ttl not in model.cache_ttls:
        raise errors.validation(
            f"This model doesn't support the cache ttl '{ttl}'. Supported: "
            f"{', '.join(model.cache_ttls)}."
        )
    if ttl == "1h" and any(piece.checkpoint == "5m" for piece in prompt.pieces):
        raise errors.validation(
            "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block."
        )
    if prompt.checkpoints == CHECKPOINTS_MAX:
        raise errors.validation(
            f"A maximum of {CHECKPOINTS_MAX} blocks with cache_control may be provided. "
            f"Found {CHECKPOINTS_MAX + 1}."
        )
    prompt.mark(cast(Ttl, ttl))
