"""A back-dated fix of prices: what an edition rated is reversed and posted anew by another one.

Nothing that was posted changes. The customer's price keeps its proportion to the cost, so that
the markup of then holds, whatever plans say now. A period that is final is adjusted by the next
invoice; one that is archived cannot be corrected any more.
Idempotent: what has been corrected once is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from tenantry.domain import money
from tenantry.domain.archive import refuse_archived
from tenantry.domain.errors import Conflict
from tenantry.domain.ids import TenantId
from tenantry.domain.markup import AT_COST
from tenantry.domain.price import PriceEdition, Unpriced
from tenantry.domain.rating import rate
from tenantry.domain.usage import Usage
from tenantry.ports.corrections import Corrections, Fix, Rated

PAGE = 500  # attempts in one commit
PAGES_MAX = 20_000
_INSTEAD = "give back what was too much by a credit note (`tenantry invoices credit`)"


@dataclass(frozen=True, slots=True)
class Corrected:
    """How many attempts, and by how much both books moved."""

    attempts: int
    cost: Decimal
    charge: Decimal


async def correct_prices(
    corrections: Corrections,
    tenant_id: TenantId,
    start: datetime,
    end: datetime,
    *,
    wrong: int,
    right: PriceEdition,
    model: str | None = None,
) -> Corrected:
    """Of usage admitted in [start, end) and rated by the edition `wrong`. Raises `Conflict` where
    `right` has no price for something, before its page is posted, and where the span begins in an
    archived month: what lies there has no rows, and half of a span is no correction of it."""
    attempts, cost, charge = 0, money.ZERO, money.ZERO
    after: Rated | None = None
    for _ in range(PAGES_MAX):
        page = await corrections.correctable(tenant_id, start, end, wrong, model, after, PAGE)
        # Asked after the page was read: a month that was archived before it has left none of it.
        refuse_archived(start, await corrections.archived_through(), _INSTEAD)
        if not page:
            break
        fixes = [fix for rated in page if (fix := fix_of(rated, right)).changes]
        attempts += await corrections.correct(tenant_id, fixes)
        cost = money.total((cost, *(_moved(f.costs, f.of.costs) for f in fixes)))
        charge = money.total((charge, *(_moved(f.charges, f.of.charges) for f in fixes)))
        after = page[-1]  # a request of more attempts than a page goes on behind it
    return Corrected(attempts, cost, charge)


def fix_of(rated: Rated, edition: PriceEdition) -> Fix:
    """Raises `Conflict`."""
    counts = dict(zip(rated.token_classes, rated.quantities, strict=True))
    try:
        made = rate(
            Usage(**counts),
            edition.of(edition.key_in(rated.price_key.partition("@")[0], rated.region)),
            tier=rated.service_tier,
            markup=AT_COST,
            guardrails=edition.guardrails,
        )
    except Unpriced as problem:
        raise Conflict(f"{problem}: edition {edition.version} cannot correct it.") from None
    by_class = {str(line.token_class): line for line in made.lines}
    lines = [by_class[name] for name in rated.token_classes]
    unit_prices = [
        _in_proportion(line.unit_cost, old_cost, old_price)
        for line, old_cost, old_price in zip(
            lines, rated.unit_costs, rated.unit_prices, strict=bool(rated.unit_prices)
        )
    ]
    return Fix(
        rated,
        edition.version,
        [line.unit_cost for line in lines],
        [line.cost for line in lines],
        unit_prices,
        [money.per_million(line.quantity, unit)
         for line, unit in zip(lines, unit_prices, strict=bool(unit_prices))],
    )  # fmt: skip


def _in_proportion(cost: Decimal, old_cost: Decimal, old_price: Decimal) -> Decimal:
    if cost == old_cost:
        return old_price  # also of an answer from our own cache, which costs nothing
    if not old_cost:
        raise Conflict("A line without a cost has no markup to keep.")
    exact = Fraction(cost) * Fraction(old_price) / Fraction(old_cost)
    return money.EXACT.divide(Decimal(exact.numerator), Decimal(exact.denominator))


def _moved(new: Sequence[Decimal], old: Sequence[Decimal]) -> Decimal:
    return money.less(money.total(new), *old)
