"""Opened cards, so that a filtered search does not fetch those of every document again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from tenantry.domain.document import Card
from tenantry.domain.ids import DocumentId, SegmentId, TenantId

CARDS_MAX = 20_000  # of all tenants; about 1 KB each

_Key = tuple[TenantId, DocumentId, SegmentId]


class CardCache:
    """A segment never changes, so a card is right for as long as its segment is asked for."""

    def __init__(self, cards_max: int = CARDS_MAX) -> None:
        self._cards: OrderedDict[_Key, Card] = OrderedDict()
        self._cards_max = cards_max

    def known(
        self, tenant_id: TenantId, wanted: Mapping[DocumentId, SegmentId]
    ) -> tuple[dict[DocumentId, Card], dict[DocumentId, SegmentId]]:
        """The cards that are here, and what is left to fetch."""
        cards: dict[DocumentId, Card] = {}
        missing: dict[DocumentId, SegmentId] = {}
        for name, segment_id in wanted.items():
            key = (tenant_id, name, segment_id)
            card = self._cards.get(key)
            if card is None:
                missing[name] = segment_id
            else:
                self._cards.move_to_end(key)
                cards[name] = card
        return cards, missing

    def keep(
        self, tenant_id: TenantId, name: DocumentId, segment_id: SegmentId, card: Card
    ) -> None:
        self._cards[tenant_id, name, segment_id] = card
        while len(self._cards) > self._cards_max:
            self._cards.popitem(last=False)

    def drop(self, tenant_id: TenantId) -> None:
        for key in [key for key in self._cards if key[0] == tenant_id]:
            del self._cards[key]

    def clear(self) -> None:
        self._cards.clear()
