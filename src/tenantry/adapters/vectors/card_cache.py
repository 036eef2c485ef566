"""Opened cards, so that a filtered search does not fetch those of every document again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from tenantry.domain.document import Card
from tenantry.domain.ids import DocumentId, SegmentId, TenantId
from tenantry.domain.original import card_bytes

CARDS_MAX = 20_000  # of all tenants
CARDS_BYTES_MAX = 32 * 1024 * 1024  # of all tenants, about
_CARD_BYTES = 1_024  # of an ordinary card's objects in memory

_Key = tuple[TenantId, DocumentId, SegmentId]


class CardCache:
    """A segment never changes, so a card is right for as long as its segment is asked for."""

    def __init__(self, cards_max: int = CARDS_MAX, bytes_max: int = CARDS_BYTES_MAX) -> None:
        self._cards: OrderedDict[_Key, tuple[Card, int]] = OrderedDict()
        self._cards_max = cards_max
        self._bytes_max = bytes_max
        self._size_bytes = 0

    def known(
        self, tenant_id: TenantId, wanted: Mapping[DocumentId, SegmentId]
    ) -> tuple[dict[DocumentId, Card], dict[DocumentId, SegmentId]]:
        """The cards that are here, and what is left to fetch."""
        cards: dict[DocumentId, Card] = {}
        missing: dict[DocumentId, SegmentId] = {}
        for name, segment_id in wanted.items():
            key = (tenant_id, name, segment_id)
            held = self._cards.get(key)
            if held is None:
                missing[name] = segment_id
            else:
                self._cards.move_to_end(key)
                cards[name] = held[0]
        return cards, missing

    def keep(
        self, tenant_id: TenantId, name: DocumentId, segment_id: SegmentId, card: Card
    ) -> None:
        key = (tenant_id, name, segment_id)
        self._forget(key)
        weighs = _CARD_BYTES + 2 * card_bytes(card)
        self._cards[key] = card, weighs
        self._size_bytes += weighs
        while len(self._cards) > self._cards_max or self._size_bytes > self._bytes_max:
            self._forget(next(iter(self._cards)))

    def drop(self, tenant_id: TenantId) -> None:
        for key in [key for key in self._cards if key[0] == tenant_id]:
            self._forget(key)

    def clear(self) -> None:
        self._cards.clear()
        self._size_bytes = 0

    def _forget(self, key: _Key) -> None:
        _, weighs = self._cards.pop(key, (None, 0))
        self._size_bytes -= weighs
