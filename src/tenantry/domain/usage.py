"""What one call used, in disjoint classes that are priced one by one.

Invariant: a token is counted in exactly one class. `uncached_in` never contains cache reads or
writes, whatever the provider's own figure did.
"""

from enum import StrEnum

from tenantry.domain.record import record


class TokenClass(StrEnum):
    """A class of usage; each value is the name of the field in `Usage` that counts it."""

    UNCACHED_IN = "uncached_in"
    CACHE_READ = "cache_read"
    CACHE_WRITE_5M = "cache_write_5m"
    CACHE_WRITE_1H = "cache_write_1h"
    OUT = "out"
    IMAGE = "image"
    EMBEDDING = "embedding"
    RERANK_UNITS = "rerank_units"
    CACHE_HIT = "cache_hit"
    GUARDRAIL_TOPIC = "guardrail_topic"
    GUARDRAIL_CONTENT = "guardrail_content"
    GUARDRAIL_IMAGE = "guardrail_image"
    GUARDRAIL_PII = "guardrail_pii"
    GUARDRAIL_GROUNDING = "guardrail_grounding"
    GUARDRAIL_REASONING = "guardrail_reasoning"


# Each class with its field's name: every request walks over them several times, and a walk over
# the enumeration itself takes five times as long.
_FIELDS = tuple((token_class, token_class.value) for token_class in TokenClass)

# What a provider asks a price for: an answer from our own cache asks no provider.
PRICED_CLASSES = frozenset(TokenClass) - {TokenClass.CACHE_HIT}
# What a guardrail is billed by, a class for each policy, since each has a price of its own. They
# are units of text of up to 1,000 characters, or images.
GUARDRAIL_CLASSES = frozenset(
    token_class for token_class in TokenClass if token_class.value.startswith("guardrail_")
)


@record(kw_only=True)
class Usage:
    """Counts by class: tokens, but `image` images, `rerank_units` queries of up to 100
    documents, `cache_hit` answers from our own cache, `guardrail_…` billable units of one policy:
    texts of up to 1,000 characters, or images."""

    uncached_in: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    out: int = 0
    image: int = 0
    embedding: int = 0
    rerank_units: int = 0
    cache_hit: int = 0
    guardrail_topic: int = 0
    guardrail_content: int = 0
    guardrail_image: int = 0
    guardrail_pii: int = 0
    guardrail_grounding: int = 0
    guardrail_reasoning: int = 0

    def __post_init__(self) -> None:
        for _, name in _FIELDS:
            count = getattr(self, name)
            assert type(count) is int and count >= 0, f"{name} is {count!r}"

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{name: getattr(self, name) + getattr(other, name) for _, name in _FIELDS})

    def count(self, token_class: TokenClass) -> int:
        """The count of one class."""
        count: int = getattr(self, token_class.value)
        return count

    def items(self) -> list[tuple[TokenClass, int]]:
        """The classes that were used and their counts, in the order of `TokenClass`."""
        return [(of, count) for of, name in _FIELDS if (count := getattr(self, name))]

    @property
    def prompt_tokens(self) -> int:
        """All tokens of the prompt, cached or not: what a prompt-size step is decided by."""
        return (
            self.uncached_in
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.embedding
        )

    @property
    def tokens(self) -> int:
        """Prompt and output together: what a limit of tokens a minute counts."""
        return self.prompt_tokens + self.out


NO_USAGE = Usage()
