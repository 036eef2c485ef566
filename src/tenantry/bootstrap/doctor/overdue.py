"""What `doctor` finds that is due and held up: archives, invoices, shreds, and what Stripe is to
collect; and roll-ups of hours that are yet to come."""

from __future__ import annotations

from typing import Final

from tenantry.adapters.postgres.archive import PostgresLedgerMonths
from tenantry.adapters.postgres.connections import Databases, LoginDsnFor
from tenantry.adapters.postgres.deliveries import PostgresDeliveries
from tenantry.adapters.postgres.rollups import PostgresRollups
from tenantry.adapters.postgres.shreds import PostgresShreds
from tenantry.application.archiving import NAMED_MAX, held_up
from tenantry.application.shredding import LATE_AFTER
from tenantry.bootstrap.billing import billing_of
from tenantry.config import Settings, variable_of

_NAMED_MAX: Final = 5  # of one problem
_SHREDS_MAX: Final = 100  # that are looked at, the oldest


async def overdue_problems(
    config: Settings, databases: Databases, dsn_for: LoginDsnFor
) -> list[str]:
    """A line for each kind of thing that waits."""
    return [
        *await _archive(config, databases, dsn_for),
        *await _invoices(config, databases),
        *await shred_problems(databases),
        *await _stripe(config, databases),
        *await _rollups(databases),
    ]


async def _archive(config: Settings, databases: Databases, dsn_for: LoginDsnFor) -> list[str]:
    if not config.archive_after_months:
        return []
    months = PostgresLedgerMonths(databases.control, lambda: dsn_for("migrator"))
    held = await held_up(months, config.archive_after_months)
    return [] if held is None else [f"{held.words(NAMED_MAX)}: tenantry ledger archive"]


async def _invoices(config: Settings, databases: Databases) -> list[str]:
    billing = billing_of(databases, None, config.home)
    wrong = await billing.numbers.problem()
    problems = [] if wrong is None else [wrong]
    rows = await billing.book.runs(None, "trouble", _NAMED_MAX + 1)
    if not rows:
        return problems
    named = [f"{row['name']} from {row['period_start']:%Y-%m-%d}" for row in rows[:_NAMED_MAX]]
    told = ", ".join(named) + (", …" if len(rows) > _NAMED_MAX else "")
    told = f"periods could not be invoiced ({told})"
    return [*problems, f"{told}: tenantry invoices runs --outcome trouble"]


async def shred_problems(databases: Databases) -> list[str]:
    """Shreds that cannot go on, each with why, and those that wait for long."""
    book = PostgresShreds(databases.control)
    now, late, stuck = await book.now(), list[str](), list[str]()
    for tenant_id in await book.unfinished(_SHREDS_MAX):
        shred = await book.get(tenant_id)
        if shred is None or shred.step == "certified":
            continue
        if shred.trouble is not None:
            stuck.append(f"the shred of {tenant_id} cannot go on: {shred.trouble}")
        elif now - shred.asked_at > LATE_AFTER:
            late.append(f"{tenant_id} since {shred.asked_at:%Y-%m-%d}")
    stuck = stuck[:_NAMED_MAX]
    if not late:
        return stuck
    told = ", ".join(late[:_NAMED_MAX]) + (", …" if len(late) > _NAMED_MAX else "")
    return [
        *stuck,
        f"shreds are not finished ({told}): tenantry tenants shred TENANT says what they await",
    ]


async def _stripe(config: Settings, databases: Databases) -> list[str]:
    if config.stripe_api_key is not None:
        return []
    links = await PostgresDeliveries(databases.control).stripe_links()
    if not links:
        return []
    names = [link.name for link in links[:_NAMED_MAX]]
    told = ", ".join(names) + (", …" if len(links) > _NAMED_MAX else "")
    return [
        f"invoices of {told} are pushed nowhere: they are customers at Stripe, and"
        f" {variable_of('stripe_api_key')} is not set"
    ]


async def _rollups(databases: Databases) -> list[str]:
    ahead = await PostgresRollups(databases.control).ahead()
    if ahead is None:
        return []
    told = (
        f"the ledger is rolled up until {ahead.through:%Y-%m-%d %H:%M}Z, which is yet to come: the"
        " database's clock was ahead, or is behind now. Usage is told and invoiced all the same;"
        " set the clock right"
    )
    if ahead.for_good is None:
        return [f"{told}, and the background worker takes the roll-ups back to it"]
    return [
        f"{told}. Roll-ups of before {ahead.for_good:%Y-%m-%d %H:%M}Z stay, for periods until then"
        " are invoiced or months archived: what is used until then is rolled up within a minute"
        " each time, and comes to the next invoice"
    ]
