"""A back-dated fix of prices: what an edition rated is reversed and posted anew by another one.

Nothing that was posted changes. The customer's price keeps its proportion to the cost, so that
the markup of then holds, whatever plans say now; where nothing had a cost, it is that of the plan's
version of then. A period that is final is adjusted by the next invoice; one that is archived cannot
be corrected any more.

Corrections follow each other: what is corrected is what stands, the sum of all that was posted of
an attempt, and `wrong` is the edition of its last posting. So the same command posts once, and one
that was broken off is run again: what it posted stands by the right edition. Each attempt is
corrected for itself: one that cannot be stays as it stands, is told, and holds up no other.

What is still open settles by the edition of its admission, however wrong that is: it is told as
left, and corrected by the same command once it has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from tenantry.domain import money
from tenantry.domain.archive import refuse_archived
from tenantry.domain.errors import Conflict
from tenantry.domain.ids import TenantId
from tenantry.domain.markup import AT_COST, Markup
from tenantry.domain.price import PriceEdition, Unpriced
from tenantry.domain.rating import rate
from tenantry.domain.usage import TokenClass, Usage
from tenantry.ports.corrections import Corrections, Fix, Rated

PAGE = 200  # attempts in one commit, for which the tenant's requests wait
TOLD_MAX = 20  # attempts that could not be corrected and are told one by one
_INSTEAD = "give back what was too much by a credit note (`tenantry invoices credit`)"


@dataclass(frozen=True, slots=True)
class Corrected:
    """How many attempts, and by how much both books moved. `left` attempts could not be corrected:
    they stand as before, or were still open; why, of the first of them, is in `why_left`."""

    attempts: int
    cost: Decimal
    charge: Decimal
    left: int = 0
    why_left: tuple[str, ...] = ()


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
    """Of usage admitted in [start, end), and until now, that stands by the edition `wrong`.

    One page at a time is in memory. It ends: each page begins behind the one before, and what is
    admitted meanwhile is not in the span. What `right` has no price for, or whose markup nobody
    knows, is left as it stands and told, and so is what was open when it began; the rest is
    posted. Raises `Conflict` where the span begins in an archived month: what lies there has no
    rows, and half of a span is no correction of it."""
    attempts, cost, charge = 0, money.ZERO, money.ZERO
    end = min(end, await corrections.now())
    # Asked before the first page: what ends meanwhile may lie before the page that is read by then.
    still = await corrections.still_open(tenant_id, start, end, wrong, model, TOLD_MAX)
    left, why_left = still.attempts, list[str]()
    after: Rated | None = None
    while True:
        page = await corrections.correctable(tenant_id, start, end, wrong, model, after, PAGE)
        # Asked after the page was read: a month that was archived before it has left none of it.
        refuse_archived(start, await corrections.archived_through(), _INSTEAD)
        if not page:
            why_left += [_open(*each, wrong) for each in still.first]
            return Corrected(attempts, cost, charge, left, tuple(why_left[:TOLD_MAX]))
        fixes, refused = _fixes(page, right)
        left += len(refused)
        why_left += refused[: TOLD_MAX - len(why_left)]
        posted = await corrections.correct(tenant_id, fixes)
        attempts += len(posted)
        cost = money.total((cost, *(_moved(f.costs, f.of.costs) for f in posted)))
        charge = money.total((charge, *(_moved(f.charges, f.of.charges) for f in posted)))
        after = page[-1]  # a request of more attempts than a page goes on behind it


def _open(request_id: UUID, attempts: int, wrong: int) -> str:
    what, they = ("an attempt is", "it settles") if attempts == 1 else (
        f"{attempts:,} attempts are", "they settle")  # fmt: skip
    return f"{request_id}: {what} still open; {they} at edition {wrong}: run again"


def _fixes(page: Sequence[Rated], edition: PriceEdition) -> tuple[list[Fix], list[str]]:
    """Those that change something, and why others cannot be made."""
    fixes, refused = list[Fix](), list[str]()
    for rated in page:
        try:
            fix = fix_of(rated, edition)
        except Conflict as problem:
            refused.append(str(problem))
            continue
        if fix.changes:
            fixes.append(fix)
    return fixes, refused


def fix_of(rated: Rated, edition: PriceEdition) -> Fix:
    """Raises `Conflict`, which names the request and what of it is in the way."""
    if len(set(rated.token_classes)) < len(rated.token_classes):
        raise Conflict(
            f"{rated.request_id} stands at two prices of one class: `tenantry reconcile"
            " --invariants` says what is wrong with the ledger."
        )
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
        raise Conflict(
            f"{rated.request_id}: {problem}: edition {edition.version} cannot correct it."
        ) from None
    by_class = {str(line.token_class): line for line in made.lines}
    lines = [by_class[name] for name in rated.token_classes]
    unit_prices = [
        _unit_price(rated, line.token_class, line.unit_cost, *known)
        for line, *known in zip(
            lines,
            rated.unit_costs,
            rated.unit_prices,
            rated.first_unit_costs or rated.unit_costs,
            rated.first_unit_prices or rated.unit_prices,
            strict=bool(rated.unit_prices),
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


def _unit_price(
    rated: Rated,
    token_class: TokenClass,
    cost: Decimal,
    old_cost: Decimal,
    old_price: Decimal,
    first_cost: Decimal,
    first_price: Decimal,
) -> Decimal:
    """At the markup of what stands; where a wrong edition had no cost, of the first posting; where
    that had none either, of the plan's version by which the call was charged."""
    if cost == old_cost:
        return old_price  # also of an answer from our own cache, which costs nothing
    if not old_cost:
        old_cost, old_price = first_cost, first_price
    if not old_cost:
        return money.times(cost, _planned(rated, token_class).of(token_class))
    exact = Fraction(cost) * Fraction(old_price) / Fraction(old_cost)
    return money.EXACT.divide(Decimal(exact.numerator), Decimal(exact.denominator))


def _planned(rated: Rated, token_class: TokenClass) -> Markup:
    if rated.markup is None:
        raise Conflict(
            f"{rated.request_id}: {token_class} was posted without a cost, and the version of the"
            " plan that charged it is not known: there is no markup to keep."
        )
    return rated.markup


def _moved(new: Sequence[Decimal], old: Sequence[Decimal]) -> Decimal:
    return money.less(money.total(new), *old)
