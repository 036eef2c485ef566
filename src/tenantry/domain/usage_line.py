"""A period's usage of one model and token class: what bills are made of, and how it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class PricedAs:
    """What a price was asked for. Texts are in order, each once; none where nobody knows any more.

    `plans` are `<name>/<version>`. `since`: when the first of the price editions that asked it, in
    the period, came into force.
    """

    service_tiers: tuple[str, ...] = ()
    price_keys: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    since: datetime | None = None


UNKNOWN = PricedAs()


@dataclass(frozen=True, slots=True)
class UsageLine:
    """What the ledger holds of one model, token class and price in a period.

    `priced_as` goes by what stands; `posted_as` by all that was ever posted at the price, also
    where a reversal has taken it back: as invoices of before `Edition.STANDING_TOLD` have it."""

    model: str
    token_class: str
    quantity: int
    charge: Decimal  # unrounded
    unit_price: Decimal | None = None  # list charge of 1,000,000 units, where all have the same
    priced_as: PricedAs = UNKNOWN
    posted_as: PricedAs = UNKNOWN

    @property
    def as_posted(self) -> UsageLine:
        return replace(self, priced_as=self.posted_as)


def words_of(model: str, token_class: str) -> str:
    """How a line of usage is called."""
    return f"{model}: {class_words(token_class)}"


def class_words(token_class: str) -> str:
    """How a token class is called; one of another edition by its own name."""
    return _CLASS_WORDS.get(token_class, token_class)


_CLASS_WORDS: Mapping[str, str] = {
    "uncached_in": "input tokens",
    "cache_read": "input tokens read from cache",
    "cache_write_5m": "input tokens written to cache (5 minutes)",
    "cache_write_1h": "input tokens written to cache (1 hour)",
    "out": "output tokens",
    "image": "images",
    "embedding": "embedded tokens",
    "rerank_units": "rerank queries",
    "cache_hit": "answers from the cache",
    "guardrail_topic": "guardrail text units, denied topics",
    "guardrail_content": "guardrail text units, content filters",
    "guardrail_image": "guardrail images, content filters",
    "guardrail_pii": "guardrail text units, sensitive information",
    "guardrail_grounding": "guardrail text units, contextual grounding",
    "guardrail_reasoning": "guardrail text units, automated reasoning",
}
