"""Bodies for the invocation log without the images, videos and sound that it is not to hold.

A medium is known by the shape that its API gives it, wherever it stands. What a caller makes up
freely is left alone: inputs and JSON results of tools, and schemas, may have members of any name.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

MEDIA = ("image", "video", "audio")
_FREE = frozenset(
    {
        *("input", "json", "inputSchema", "input_schema"),  # Converse, Messages
        *("parameters", "schema", "additionalModelRequestFields"),  # chat bodies, Converse
    }
)
# Blocks that say by `type` what they hold: Anthropic's, then OpenAI's. Medium, and its member.
_TYPED = {
    "image": ("image", "source"),
    "image_url": ("image", "image_url"),
    "input_audio": ("audio", "input_audio"),
    "audio_url": ("audio", "audio_url"),
    "video_url": ("video", "video_url"),
}
_OF_BODIES = ("images", "inputImage")  # Llama and Cohere, Titan


def without_media(body: Any, hidden: Set[str]) -> Any:
    """A copy without the data of the media that are `hidden`; the rest of their blocks stays."""
    if not hidden:
        return body
    if isinstance(body, dict) and "image" in hidden:
        body = {name: value for name, value in body.items() if name not in _OF_BODIES}
    return _stripped(body, hidden)


def _stripped(value: Any, hidden: Set[str]) -> Any:
    if isinstance(value, list):
        return [_stripped(item, hidden) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("type")
    medium, dropped = _TYPED.get(kind, ("", "")) if isinstance(kind, str) else ("", "")
    copy = {}
    for name, item in value.items():
        if name == dropped and medium in hidden:
            continue
        if name in _FREE:
            copy[name] = item
        elif name in hidden and isinstance(item, dict):  # Converse, Nova
            copy[name] = {key: inner for key, inner in item.items() if key != "source"}
        else:
            copy[name] = _stripped(item, hidden)
    return copy
