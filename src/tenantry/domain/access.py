"""Which documents a request may see inside its own tenant.

No tags on a document: everyone of the tenant. Tags: the request's groups must share one. A request
without groups sees untagged documents only. The same rule holds for search, list, get, content,
delete and answers.

Tags and groups are taken in one form, NFC, and what was kept before that is read in it. Nothing
else is folded: case matters, and letters that only look alike are others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tenantry.domain.document import Card
from tenantry.domain.errors import BadRequest
from tenantry.domain.filter import Filter
from tenantry.domain.one_form import given_in_nfc, in_nfc

TAGS_MAX = 32
TAG_CHARS_MAX = 128


def may_see(tags: frozenset[str], groups: frozenset[str]) -> bool:
    """`tags` of a card, in whichever form; `groups` as `tags_from` gives them."""
    return _shares(in_one_form(tags), groups)


def in_one_form(tags: frozenset[str]) -> frozenset[str]:
    """Tags that were kept, as `tags_from` gives them."""
    return tags if all(map(str.isascii, tags)) else frozenset(map(in_nfc, tags))


def _shares(tags: frozenset[str], groups: frozenset[str]) -> bool:
    return not tags or not tags.isdisjoint(groups)


@dataclass(frozen=True, slots=True)
class Permission:
    """Which documents a request's groups and its filter let it find: `ports.vectors.Permitted`."""

    groups: frozenset[str]
    where: Filter | None = None

    def __call__(self, card: Card) -> bool:
        seen = self.sees(in_one_form(card.access))
        return seen and (self.where is None or self.where.matches(card.metadata))

    def sees(self, tags: frozenset[str]) -> bool:
        """`tags` that are `in_one_form` already: asked for each set of them at every search."""
        return _shares(tags, self.groups)


def tags_from(values: object, *, field: str = "access") -> frozenset[str]:
    """Tags or groups of a request, in NFC: a list of short names. Else BadRequest, also for a name
    that the header of groups, which joins them by commas, could not say: nobody would see the
    document.
    """
    if values is None:
        return frozenset()
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise BadRequest(f"`{field}` must be a list of strings.")
    tags: set[str] = set()
    for value in values:
        tag = given_in_nfc(value, TAG_CHARS_MAX).strip() if isinstance(value, str) else ""
        if not tag or len(tag) > TAG_CHARS_MAX or not tag.isprintable() or "," in tag:
            raise BadRequest(
                f"`{field}` holds 1 to {TAG_CHARS_MAX} printable characters each, without commas."
            )
        tags.add(tag)
        if len(tags) > TAGS_MAX:
            raise BadRequest(f"`{field}` holds at most {TAGS_MAX} entries.")
    return frozenset(tags)
