"""By how much a model's list prices are a multiple of its costs, where that differs by class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from decimal import Decimal

from tenantry.domain.record import record
from tenantry.domain.usage import TokenClass


@record
class Markup:
    """Of one model. A plan says it: `Plan.markup_of`."""

    default: Decimal
    by_class: Mapping[TokenClass, Decimal] = field(default_factory=dict)

    def of(self, token_class: TokenClass) -> Decimal:
        return self.by_class.get(token_class, self.default)


AT_COST = Markup(Decimal(1))
