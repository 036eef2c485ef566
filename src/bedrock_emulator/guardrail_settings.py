"""A guardrail as the configuration names it. Raises ValueError with the member at fault."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from bedrock_emulator.engine.guardrail import POLICIES, Action, Guardrail, Pattern, Side

KEYWORDS_MAX = 1_000  # of one policy
PATTERN_CHARS_MAX = 500
_BLOCKED = "Sorry, the model cannot answer this question."
_ID = re.compile(r"[a-z0-9]{1,64}")
_VERSION = re.compile(r"DRAFT|[1-9][0-9]{0,7}")
_MEMBERS = frozenset({"id", "version", "blocked_input", "blocked_output", "input", "output"})


def guardrail_from(table: Mapping[str, Any]) -> Guardrail:
    """One `[[accounts.guardrails]]`."""
    unknown = sorted(table.keys() - _MEMBERS - set(POLICIES))
    if unknown:
        raise ValueError(f"unknown settings: {', '.join(unknown)}")
    looks: dict[Side, frozenset[str]] = {
        side: _policies(table[side], side) for side in get_args(Side) if side in table
    }
    return Guardrail(
        id=_matching(table.get("id"), _ID, "id"),
        version=_matching(table.get("version", "1"), _VERSION, "version"),
        blocked_input=_text(table.get("blocked_input", _BLOCKED), "blocked_input"),
        blocked_output=_text(table.get("blocked_output", _BLOCKED), "blocked_output"),
        topics=_keywords(table.get("topics", {}), "topics"),
        content=_keywords(table.get("content", {}), "content"),
        words=_texts(table.get("words", []), "words"),
        pii=_patterns(table.get("pii", {}), "pii"),
        regexes=_patterns(table.get("regexes", {}), "regexes"),
        grounding=_share(table.get("grounding"), "grounding"),
        looks=looks,
    )


def _policies(value: Any, name: str) -> frozenset[str]:
    named = frozenset(_texts(value, name))
    if named - set(POLICIES):
        raise ValueError(f"{name} must be a list of {', '.join(POLICIES)}")
    return named


def _matching(value: Any, pattern: re.Pattern[str], name: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{name} must match {pattern.pattern}")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a text")
    return value


def _texts(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > KEYWORDS_MAX:
        raise ValueError(f"{name} must be a list of at most {KEYWORDS_MAX:,} texts")
    return tuple(_text(item, name) for item in value)


def _keywords(value: Any, name: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a table of lists of keywords")
    return {key: _texts(words, f"{name}.{key}") for key, words in value.items()}


def _patterns(value: Any, name: str) -> dict[str, Pattern]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a table of patterns")
    return {key: _pattern(found, f"{name}.{key}") for key, found in value.items()}


def _pattern(value: Any, name: str) -> Pattern:
    members = {"pattern": value} if isinstance(value, str) else value
    if not isinstance(members, dict) or members.keys() - {"pattern", "action"}:
        raise ValueError(f"{name} must be a pattern, or a table of pattern and action")
    text, action = members.get("pattern"), members.get("action", "BLOCK")
    if not isinstance(text, str) or not 0 < len(text) <= PATTERN_CHARS_MAX:
        raise ValueError(f"{name} must be of 1 to {PATTERN_CHARS_MAX} characters")
    if action not in get_args(Action):
        raise ValueError(f"{name}.action must be one of {', '.join(get_args(Action))}")
    try:
        return Pattern(re.compile(text), action)
    except re.error as error:
        raise ValueError(f"{name} is no regular expression: {error}") from error


def _share(value: Any, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(f"{name} must be from 0 to below 1")
    return float(value)
