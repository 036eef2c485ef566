"""Bodies with one member of another type, for properties of whatever reads bodies."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text("aé "),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab"), inner, max_size=2),
    max_leaves=4,
)
_ONE_OF_EACH = (None, True, 7, 1.5, "", "x", [], ["x"], [[]], [{}], {}, {"a": 1})
_LEFT_OUT = object()


def with_another_member(body: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The body with one of its members, however deep, replaced by any JSON or left out."""
    anything = st.tuples(st.sampled_from(list(_paths(body))), ANY_JSON)
    changes = anything | st.sampled_from(list(_changes(body)))
    return changes.map(lambda change: _replaced(body, *change))


def each_with_another_member(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every member replaced by one of each type, and left out."""
    return (_replaced(body, *change) for change in _changes(body))


def _changes(body: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    for path in _paths(body):
        yield from ((path, value) for value in _ONE_OF_EACH)
        if isinstance(path[-1], str):
            yield path, _LEFT_OUT


def _replaced(body: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    if value is _LEFT_OUT:
        del _at(changed, path[:-1])[path[-1]]
    else:
        _at(changed, path[:-1])[path[-1]] = copy.deepcopy(value)
    return changed


def _at(node: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


def _paths(node: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield (*here, key)
        if isinstance(value, (dict, list)):
            yield from _paths(value, (*here, key))
