"""Checks of single members that several API families share, with the service's messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.prompt import Prompt

TIERS = ("priority", "default", "flex", "reserved")
STOP_SEQUENCES_MAX = 2_500  # service model of bedrock-runtime, InferenceConfiguration
WORD_MAX = 64  # service model, ToolName and ToolUseId
TOOL_NAME = "[a-zA-Z0-9_-]+"
TOOL_USE_ID = "[a-zA-Z0-9_.:-]+"
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.\-]*")
_METADATA_MAX = 16  # service model, RequestMetadata


def as_object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise errors.wrong_type(path, "object")
    return value


def as_list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise errors.wrong_type(path, "array")
    return value


def list_in(body: dict[str, Any], name: str, path: str | None = None) -> list[Any]:
    """A member that is an array, or is left out; nothing else is taken for an empty one."""
    value = body.get(name)
    return [] if value is None else as_list(value, name if path is None else path)


def object_in(body: dict[str, Any], name: str, path: str | None = None) -> dict[str, Any]:
    """A member that is an object, or is left out; nothing else is taken for an empty one."""
    value = body.get(name)
    return {} if value is None else as_object(value, name if path is None else path)


def given(owner: Mapping[str, Any], name: str, default: str) -> Any:
    """A member, or what stands for one that is left out or null."""
    value = owner.get(name)
    return default if value is None else value


def only_member(block: Any, path: str, shape: str) -> tuple[str, Any]:
    """The one member of a tagged union."""
    block = as_object(block, path.replace(".", "/"))
    members = [(key, value) for key, value in block.items() if value is not None]
    if len(members) != 1:
        raise errors.validation(
            f"The {shape} object at {path} must set one of the following keys, and only one."
        )
    return members[0]


def as_text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise errors.wrong_type(path, "string")
    return value


def word(value: Any, path: str, pattern: str) -> str:
    """A text of at most 64 characters out of a class, as tools' names and ids are."""
    text = as_text(value, path)
    if len(text) > WORD_MAX:
        raise errors.too_long(path, WORD_MAX)
    if not re.fullmatch(pattern, text):
        raise errors.no_match(path, text, pattern)
    return text


def whole_number(value: Any, path: str) -> int:
    """An integer of at least one; JSON's true is not 1 here."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise errors.wrong_type(path.replace(".", "/"), "integer")
    if value < 1:
        raise errors.too_low(path, value, 1)
    return value


def number(value: Any, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise errors.wrong_type(path.replace(".", "/"), "number")


def numbers_in(body: dict[str, Any], names: Iterable[str]) -> None:
    """Members that are numbers, or are left out."""
    for name in names:
        if body.get(name) is not None:
            number(body[name], name)


def fraction(value: Any, path: str) -> None:
    """A number from 0 to 1, as temperature and topP are."""
    number(value, path)
    if not 0 <= value <= 1:
        bound = "less than or equal to 1" if value > 1 else "greater than or equal to 0"
        raise errors.validation(
            f"1 validation error detected: Value '{value}' at '{path}' failed to satisfy "
            f"constraint: Member must have value {bound}"
        )


def stop_sequences(value: Any, path: str) -> tuple[str, ...]:
    texts = tuple(as_text(item, path) for item in as_list(value, path))
    if len(texts) > STOP_SEQUENCES_MAX:
        raise errors.too_long(path.replace("/", "."), STOP_SEQUENCES_MAX)
    if any(not text for text in texts):
        raise errors.too_short(path.replace("/", "."))
    return texts


def request_metadata(value: Any) -> None:
    """The caller's labels for the invocation log: 1 to 16, in a narrow alphabet."""
    labels = as_object(value, "requestMetadata")
    fits = 1 <= len(labels) <= _METADATA_MAX and all(
        1 <= len(key) <= 256
        and isinstance(text, str)
        and len(text) <= 256
        and _METADATA.fullmatch(key)
        and _METADATA.fullmatch(text)
        for key, text in labels.items()
    )
    if not fits:
        raise errors.validation(
            "1 validation error detected: Value at 'requestMetadata' failed to satisfy constraint: "
            "1 to 16 entries, keys of 1 to 256 and values of 0 to 256 characters of "
            r"[a-zA-Z0-9\s:_@$#=/+,-.]"
        )


def within_limits(prompt: Prompt) -> None:
    """The model's output limit and context window.

    Claude refuses in the model's own words, the others in the service's.
    """
    model = prompt.model
    if prompt.max_tokens is not None and prompt.max_tokens > model.max_output:
        raise errors.too_many_output_tokens(model.max_output)
    tokens = prompt.input_tokens
    if tokens > prompt.window:
        if model.native == "anthropic":
            raise errors.validation(
                f"prompt is too long: {tokens} tokens > {prompt.window} maximum"
            )
        raise errors.validation("Input is too long for requested model.")
