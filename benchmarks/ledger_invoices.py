"""The monthly run over the tenants of a loaded ledger: every one of them gets its final invoice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from tests.support.billing import ISSUER, House
from tests.support.ledger import World

from benchmarks.ledger_load import Span
from tenantry.adapters.clock import SystemClock
from tenantry.application.invoice_run import run_due
from tenantry.domain.tenant import Principal

THOUSAND = 1_000
# What no role of Tenantry's can: the tenants and their contracts have been there since long ago,
# and what is next to be invoiced is the last month.
_SINCE = """
UPDATE tenantry.plan_change SET effective_at = '{since}', entered_at = '{since}',
  applied_at = '{since}';
UPDATE tenantry.contract SET entered_at = '{since}';
UPDATE tenantry.billing_account SET period_start = '{start}', period_end = '{end}'
WHERE tenant_id = ANY ('{{{tenants}}}')
"""


async def invoicing(
    world: World, span: Span, tenants: Sequence[Principal]
) -> tuple[dict[str, Any], float]:
    """Figures, and the seconds for a thousand tenants."""
    house = House.of(world)
    for who in tenants:
        await house.contract(who)
    start, end = span.month(0)
    named = ",".join(who.tenant_id for who in tenants)
    await house.plans_long_ago()
    await house.as_the_past(_SINCE.format(since=span.start, start=start, end=end, tenants=named))
    begun = time.perf_counter()
    tally = await run_due(house.billing.book, SystemClock(), ISSUER, mode="automatic", again_s=0)
    seconds = time.perf_counter() - begun
    told = {"final": tally.final, "nothing": tally.nothing, "trouble": tally.trouble}
    print(f"invoices in {seconds:.1f} s: {told}", flush=True)
    made = tally.final + tally.nothing
    if made != len(tenants):
        raise AssertionError(f"{len(tenants)} invoices were to be made: {told}")
    return {"invoices": told}, round(seconds * THOUSAND / made, 1)
