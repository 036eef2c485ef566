"""Which documents a request may see inside its own tenant.

No tags on a document: everyone of the tenant. Tags: the request's groups must share one. A request
without groups sees untagged documents only. The same rule holds for search, list, get, content,
delete and answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tenantry.domain.document import Card
from tenantry.domain.errors import BadRequest
from tenantry.domain.filter import Filter

TAGS_MAX = 32
TAG_CHARS_MAX = 128


def may_see(tags: frozenset[str], groups: frozenset[str]) -> bool:
    return not tags or not tags.isdisjoint(groups)


@dataclass(frozen=True, slots=True)
class Permission:
    """Which documents a request's groups and its filter let it find: `ports.vectors.Permitted`."""

    groups: frozenset[str]
    where: Filter | None = None

    def __call__(self, card: Card) -> bool:
        return self.sees(card.access) and (self.where is None or self.where.matches(card.metadata))

    def sees(self, tags: frozenset[str]) -> bool:
        return may_see(tags, self.groups)


def tags_from(values: object, *, field: str = "access") -> frozenset[str]:
    """Tags or groups of a request: a list of short, non-empty strings. Else BadRequest."""
    if values is None:
        return frozenset()
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise BadRequest(f"`{field}` must be a list of strings.")
    tags: set[str] = set()
    for value in values:
        if not isinstance(value, str) or not value.strip() or len(value) > TAG_CHARS_MAX:
            raise BadRequest(
                f"`{field}` holds strings of 1 to {TAG_CHARS_MAX} characters, nothing else."
            )
        tags.add(value.strip())
        if len(tags) > TAGS_MAX:
            raise BadRequest(f"`{field}` holds at most {TAGS_MAX} entries.")
    return frozenset(tags)
