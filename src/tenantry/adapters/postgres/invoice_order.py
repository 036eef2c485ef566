"""In which order invoices are voided and made, where one's prices go by what others hold.

Under included tokens, steps or a minimum a period's usage costs what it does because of what was
invoiced of the period before. So an invoice stays while a later one builds upon it, and a period is
not invoiced beside others that hold usage of it. Both are asked under the tenant's lock, and a
refusal names all that have to go, in an order in which they can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from tenantry.adapters.postgres.billing_reader import EVER, Fetch, to_terms
from tenantry.adapters.postgres.statements import statements
from tenantry.domain.contract import Terms, terms_from, terms_until
from tenantry.domain.errors import Conflict
from tenantry.domain.ids import TenantId
from tenantry.domain.overage import COUNTED
from tenantry.domain.period import day_begun

_FILE = "sql/invoice_order.sql"
_NAMED_MAX = 20  # numbers in one refusal


@dataclass(frozen=True, slots=True)
class _Invoice:
    """A live one. Periods are told by their starts."""

    number: str
    own: datetime
    held: frozenset[datetime]  # of which it holds usage that goes by order
    credited: bool  # by notes that are live

    @property
    def periods(self) -> frozenset[datetime]:
        """Of which later usage is priced as what comes after its own."""
        return self.held | {self.own}


async def check_void(fetch: Fetch, tenant_id: TenantId, number: str) -> None:
    """Raises `Conflict` where later invoices price usage as what comes after that of this one."""
    rows = await fetch(statements(_FILE)["issued"], tenant_id, number)
    if not rows:
        return
    issued = await _issued_from(fetch, tenant_id, rows[0]["issued_at"])
    own = next(each for each in issued if each.number == number)
    if found := _to_void(own.periods, [each for each in issued if each is not own]):
        others = ", or of another of them" if len(found) > 1 else ""
        raise Conflict(
            f"Void {_named(found)} first, in this order: later usage is priced there as what comes"
            f" after that of this invoice{others}.{_credited([*found, own])}"
        )


async def check_again(fetch: Fetch, tenant_id: TenantId, start: datetime) -> None:
    """Of a period that was closed once and has no live invoice. Raises `Conflict` where others
    price usage of it as if nothing were left of it."""
    [row] = await fetch(statements(_FILE)["first_holder"], tenant_id, start)
    if row["issued_at"] is None:
        return
    issued = await _issued_from(fetch, tenant_id, row["issued_at"])
    if found := _to_void(frozenset({start}), issued):
        others = ", or later usage as what comes after that of another of them"
        raise Conflict(
            f"Void {_named(found)} first, in this order: usage of this period is priced there"
            f" without what is left of it{others if len(found) > 1 else ''}.{_credited(found)}"
        )


def _to_void(periods: frozenset[datetime], issued: Sequence[_Invoice]) -> list[_Invoice]:
    """Newest first, those that hold usage of the periods, or of periods of one of those that was
    issued before. `issued`: oldest first."""
    found: list[_Invoice] = []
    for invoice in issued:
        if invoice.held & periods:
            found.insert(0, invoice)
            periods |= invoice.periods
    return found


async def _issued_from(fetch: Fetch, tenant_id: TenantId, at: datetime) -> list[_Invoice]:
    """Live invoices, oldest first."""
    sql = statements(_FILE)
    rows = await fetch(sql["holdings"], tenant_id, at, sorted(COUNTED))
    [tenant] = await fetch(sql["zone"], tenant_id)
    terms = await fetch(statements("sql/billing.sql")["terms"], tenant_id, EVER)
    agreed, ends = to_terms(terms, tenant["zone"]), await fetch(sql["ends"], tenant_id)
    by_end = [its for row in ends if (its := terms_until(agreed, row["ends_on"]))]
    found = []
    for number, grouped in groupby(rows, key=lambda row: row["number"]):
        holdings = list(grouped)
        held = frozenset(
            row["period_start"] for row in holdings if _is_in_order(row, by_end, tenant["zone"])
        )
        found.append(_Invoice(number, holdings[0]["own_start"], held, holdings[0]["credited"]))
    return found


def _is_in_order(row: Any, by_end: Sequence[tuple[Terms, ...]], zone: str) -> bool:
    """By any end that the contract ever had."""
    if row["period_start"] is None:
        return False
    day = day_begun(row["period_start"], zone)
    return any(terms_from(its, day).goes_by_order(row["tokens"]) for its in by_end)


def _named(invoices: Sequence[_Invoice]) -> str:
    numbers, more = [each.number for each in invoices[:_NAMED_MAX]], len(invoices) - _NAMED_MAX
    return ", ".join(numbers) + (f" and {more} before them" if more > 0 else "")


def _credited(invoices: Sequence[_Invoice]) -> str:
    """Which of those cannot be voided yet."""
    found = [each for each in invoices if each.credited]
    if not found:
        return ""
    has = "has" if len(found) == 1 else "have"
    return f" Credit notes come before their invoices: {_named(found)} {has} some."
