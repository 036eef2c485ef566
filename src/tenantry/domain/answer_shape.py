"""Whether an answer of Converse can be read, by its shape: what nobody could is rubbish.

Only what every reader stands on is looked at: kinds of blocks and events that are new pass. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# The member that an event's payload must have, and its kind.
_MEMBERS: Final[Mapping[str, tuple[str, type[Any]]]] = {
    "contentBlockStart": ("start", dict),
    "contentBlockDelta": ("delta", dict),
    "messageStop": ("stopReason", str),
}
_OF_A_BLOCK: Final = frozenset({"contentBlockStart", "contentBlockDelta", "contentBlockStop"})
_KNOWN: Final = _OF_A_BLOCK | _MEMBERS.keys() | {"metadata"}


def is_answer(document: object) -> bool:
    """Of Converse: a message whose content is a list of blocks."""
    try:
        content = document["output"]["message"]["content"]  # type: ignore[index]
    except (KeyError, TypeError):
        return False
    return isinstance(content, list) and all(map(_is_block, content))


def is_event(kind: str | None, payload: object) -> bool:
    """Of ConverseStream."""
    if not isinstance(payload, dict):
        return kind not in _KNOWN  # what is new may hold anything
    if kind in _OF_A_BLOCK and not isinstance(payload.get("contentBlockIndex", 0), int):
        return False
    wanted = _MEMBERS.get(kind or "")
    if wanted is None:
        return True
    member, its_kind = wanted
    value: Any = payload.get(member)
    if not isinstance(value, its_kind):
        return False
    if kind == "contentBlockStart":
        return "toolUse" not in value or _is_use(value["toolUse"])
    return kind != "contentBlockDelta" or _is_delta(value)


def _is_block(block: object) -> bool:
    if not isinstance(block, dict):
        return False
    if "toolUse" in block and not _is_use(block["toolUse"]):
        return False
    return isinstance(block.get("text", ""), str)


def _is_use(use: object) -> bool:
    return (
        isinstance(use, dict)
        and isinstance(use.get("toolUseId"), str)
        and isinstance(use.get("name"), str)
    )


def _is_delta(delta: dict[str, Any]) -> bool:
    if not isinstance(delta.get("text", ""), str):
        return False
    use, thought = delta.get("toolUse", {}), delta.get("reasoningContent", {})
    if not isinstance(use, dict) or not isinstance(use.get("input", ""), str):
        return False
    return isinstance(thought, dict) and isinstance(thought.get("text", ""), str)
