"""How deep a body may be nested: what is read must also be written, to logs and to answers."""

from __future__ import annotations

from typing import Any

DEPTH_MAX = 200  # the JSON writer's limit is 254, and a body stands inside a record or an answer


def too_deep(value: Any, document: bytes) -> bool:
    """Whether JSON, decoded from `document`, is nested too deep to be written with what stands
    around it."""
    if document.count(b"{") + document.count(b"[") <= DEPTH_MAX:
        return False  # as nearly always, and quickly seen
    level = _inner([value])
    for _ in range(DEPTH_MAX):
        if not level:
            return False
        level = [inner for outer in level for inner in _inner(outer)]
    return bool(level)


def _inner(outer: dict[str, Any] | list[Any]) -> list[dict[str, Any] | list[Any]]:
    """What an object or array holds that itself holds something."""
    values = outer.values() if isinstance(outer, dict) else outer
    return [value for value in values if isinstance(value, dict | list)]
