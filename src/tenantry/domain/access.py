"""Which documents a request may see inside its own tenant.

No tags on a document: everyone of the tenant. Tags: the request's groups must share one. A request
without groups sees untagged documents only. The same rule holds for search, list, get, content,
delete and answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    """Tags or groups of a request: a list of short names. Else BadRequest, also for a name that the
    header of groups, which joins them by commas, could not say: nobody would see the document.
    """
    if values is None:
        return frozenset()
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise BadRequest(f"`{field}` must be a list of strings.")
    tags: set[str] = set()
    for value in values:
        tag = value.strip() if isinstance(value, str) else ""
        if not tag or len(tag) > TAG_CHARS_MAX or not tag.isprintable() or "," in tag:
            raise BadRequest(
                f"`{field}` holds 1 to {TAG_CHARS_MAX} printable characters each, without commas."
            )
        tags.add(tag)
        if len(tags) > TAGS_MAX:
            raise BadRequest(f"`{field}` holds at most {TAGS_MAX} entries.")
    return frozenset(tags)
