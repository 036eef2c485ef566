"""In which order invoices are voided and made, where one's prices go by what others hold.

Under included tokens, steps or a minimum a period's usage costs what it does because of what was
invoiced of the period before. So an invoice stays while a later one builds upon it, and a period is
not invoiced beside others that hold usage of it. Both are asked under the tenant's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tenantry.adapters.postgres.billing_reader import EVER, Fetch, to_terms
from tenantry.adapters.postgres.statements import statements
from tenantry.domain.contract import terms_from, terms_until
from tenantry.domain.errors import Conflict
from tenantry.domain.ids import TenantId
from tenantry.domain.period import day_begun

_NAMED_MAX = 20  # numbers in one refusal


async def check_void(fetch: Fetch, tenant_id: TenantId, number: str) -> None:
    """Raises `Conflict` where later invoices price usage as what comes after that of this one."""
    own = await fetch(statements("sql/invoice_order.sql")["own_periods"], tenant_id, number)
    if not own:
        return
    starts = [row["period_start"] for row in own]
    if numbers := await _in_order(fetch, tenant_id, starts, own[0]["issued_at"]):
        raise Conflict(
            f"Void {_named(numbers)} first, in this order: later usage of a period of this invoice"
            " is priced there as what comes after it."
        )


async def check_again(fetch: Fetch, tenant_id: TenantId, start: datetime) -> None:
    """Of a period that was closed once and has no live invoice. Raises `Conflict` where others
    price usage of it as if nothing were left of it."""
    if numbers := await _in_order(fetch, tenant_id, [start], None):
        raise Conflict(
            f"Void {_named(numbers)} first, in this order: usage of this period is priced there"
            " without what is left of it."
        )


async def _in_order(
    fetch: Fetch, tenant_id: TenantId, starts: Sequence[datetime], after: datetime | None
) -> list[str]:
    """Numbers, newest first, of live invoices issued after an instant that hold usage of periods
    whose terms go by order; by any end that the contract ever had."""
    sql = statements("sql/invoice_order.sql")
    holders = await fetch(sql["holders"], tenant_id, starts, after)
    if not holders:
        return []
    [tenant] = await fetch(sql["zone"], tenant_id)
    rows = await fetch(statements("sql/billing.sql")["terms"], tenant_id, EVER)
    terms, ends = to_terms(rows, tenant["zone"]), await fetch(sql["ends"], tenant_id)
    agreed = [held for row in ends if (held := terms_until(terms, row["ends_on"]))]
    days = {start: day_begun(start, tenant["zone"]) for start in starts}
    ordered = {
        start
        for start, day in days.items()
        if any(terms_from(held, day).go_by_order for held in agreed)
    }
    found = [row["number"] for row in holders if row["period_start"] in ordered]
    return list(dict.fromkeys(found))


def _named(numbers: Sequence[str]) -> str:
    more = len(numbers) - _NAMED_MAX
    return ", ".join(numbers[:_NAMED_MAX]) + (f" and {more} before them" if more > 0 else "")
