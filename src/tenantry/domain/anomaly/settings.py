"""What is unusual enough to wake someone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from tenantry.domain import money

# Window in hours → standard deviations on the log scale; measured by tests/simulation.
SCORES: Mapping[int, float] = MappingProxyType({1: 4.0, 3: 3.6, 24: 3.4})


@dataclass(frozen=True, slots=True)
class Floor:
    """Below this an excess is not worth a message, however improbable it is.

    `charge` is in the currency of the rows and is compared exactly; use without any charge is
    judged by its tokens alone.
    """

    tokens: int = 250_000
    share: float = 0.5  # of what is normal in the window
    charge: Decimal = Decimal("0.05")

    def passed(self, excess_tokens: int, used_tokens: int, charge: Decimal) -> bool:
        """Whether the excess matters; its charge is its share of the window's own."""
        normal = used_tokens - excess_tokens
        if excess_tokens < self.tokens or excess_tokens < self.share * normal:
            return False
        # Multiplied out, so that nothing is divided and nothing rounded.
        share = money.times(charge, Decimal(excess_tokens))
        return not charge or share >= money.times(self.charge, Decimal(used_tokens))


@dataclass(frozen=True, slots=True)
class Settings:
    """How a tenant's hours are judged."""

    floor: Floor = field(default_factory=Floor)
    scores: Mapping[int, float] = field(default_factory=lambda: SCORES)
    cool_down_h: int = 24  # quiet hours after which the same kind is news again
    remind_h: int = 72  # what lasts longer is said again
