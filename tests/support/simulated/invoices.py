"""The end of a run: what was used becomes the last billing period's, is invoiced and recomputed.

The database's clock decides in the product, so a superuser moves what the ledger holds, and not the
clock. The recomputing shares no code with tenantry: fractions, from the ledger's own amounts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.support.simulated.facts import Facts, TenantFacts
from tests.support.simulated.scenario import RATES

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres.connections import Databases
from tenantry.application.invoicing import finalise_invoice, regenerate
from tenantry.bootstrap.billing import billing_of
from tenantry.domain.agreement import Agreement
from tenantry.domain.focus import focus_rows
from tenantry.domain.ids import TenantId
from tenantry.domain.party import Issuer, Party
from tenantry.domain.period import Span

ISSUER = Issuer(Party("Lumen Notes, Inc.", ("500 Howard St",)))
TAX_RATE = "0.081234"
DECIMALS = {"JPY": 0, "KWD": 3}
INTO = timedelta(hours=36)  # a period, are the first of the moved rows
# $1 the tenant, $2 and $3 its last period, $4 its zone, $5 how far its rows move.
_MOVED = """
SET admitted_at = admitted_at + $5, posted_at = posted_at + $5, period_start = $2,
    day = ((admitted_at + $5) AT TIME ZONE $4)::date
WHERE tenant_id = $1 AND $3::timestamptz IS NOT NULL
"""
_SINCE = (
    "UPDATE tenantry.tenant SET created_at = $2 WHERE tenant_id = $1",
    "UPDATE tenantry.plan_change SET effective_at = $2, entered_at = $2, applied_at = $2"
    " WHERE tenant_id = $1",
    "UPDATE tenantry.contract SET entered_at = $2 WHERE tenant_id = $1",
)
_ACCOUNT = (
    "UPDATE tenantry.billing_account SET period_start = $2, period_end = $3 WHERE tenant_id = $1"
)
_LONG_AGO = (
    "UPDATE tenantry.plan SET applied_at = timestamptz '2019-01-01' + version * interval '1 day',"
    " superseded_at = CASE WHEN superseded_at IS NOT NULL THEN"
    " timestamptz '2019-01-01' + (version + 1) * interval '1 day' END"
)
_REPLAY = (
    "UPDATE tenantry.budget_use u SET settled = r.settled, reserved = r.reserved"
    " FROM tenantry.budget_use x CROSS JOIN LATERAL tenantry.budget_replay("
    " x.tenant_id, x.subject, x.basis, x.period_start, x.period_end) r WHERE u.ctid = x.ctid"
)


@dataclass(frozen=True)
class Invoiced:
    """`documents` by tenant; none of a tenant that used nothing and owes no fee."""

    documents: Mapping[str, Mapping[str, Any]]
    differences: Sequence[str]  # with what the product itself says of its documents


async def invoice_all(databases: Databases, facts: Facts, connection: Any, home: Path) -> Invoiced:
    """`connection` is a superuser's."""
    billing = billing_of(databases, ISSUER, home)
    book, documents, differences = billing.book, {}, []
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(_LONG_AGO)
    for tenant in facts.tenants:
        tenant_id = TenantId(tenant.id)
        party = Party(f"{tenant.name} Corp.", ("1 Main Street",))
        agreement = Agreement(party, currency=tenant.currency, tax_rate=Decimal(TAX_RATE))
        made_from = len(await billing.contracts.contracts(tenant_id))  # born with one, or without
        assert await billing.contracts.set_contract(tenant_id, agreement, made_from=made_from)
        running = await book.period_at(tenant_id, await book.now())
        period = await book.period_at(tenant_id, running.start - timedelta(hours=1))
        await _move(connection, tenant, period)
        made = await finalise_invoice(book, SystemClock(), ISSUER, tenant_id, period)
        if made.number is None:
            continue
        documents[tenant.id] = made.document
        stored = await book.document(tenant_id, made.number)
        if not (await regenerate(book, tenant_id, stored)).same:
            differences.append(f"{made.number} is not made again")
    await connection.execute(_REPLAY)
    await connection.execute("SET session_replication_role = DEFAULT")
    return Invoiced(documents, differences)


async def _move(connection: Any, tenant: TenantFacts, period: Span) -> None:
    for statement in _SINCE:
        await connection.execute(statement, tenant.id, period.start)
    await connection.execute(_ACCOUNT, tenant.id, period.start, period.end)
    first = await connection.fetchval(
        "SELECT min(admitted_at) FROM tenantry.cost_entry WHERE tenant_id = $1", tenant.id
    )
    if first is not None:
        by = period.start + INTO - first
        for table in ("charge_entry", "cost_entry"):
            statement = f"UPDATE tenantry.{table} {_MOVED}"
            values = (tenant.id, period.start, period.end, tenant.zone, by)
            await connection.execute(statement, *values)


async def audit_invoices(facts: Facts, made: Invoiced, connection: Any) -> list[str]:
    """Every difference, in words; none where invoices and their book are right."""
    charges = await connection.fetch("SELECT * FROM tenantry.charge_entry")
    posted = await connection.fetch("SELECT * FROM tenantry.billing_entry")
    found = list(made.differences)
    for tenant in facts.tenants:
        ours = [row for row in charges if row["tenant_id"] == tenant.id]
        table = max((p for p in facts.plans if p.name == tenant.plan), key=lambda p: p.version)
        book = [row for row in posted if row["tenant_id"] == tenant.id]
        document = made.documents.get(tenant.id)
        if document is None:
            if book or any(row["amount"] for row in ours):
                found.append(f"{tenant.name} has no invoice")
            continue
        for difference in _document(tenant, table.table, ours, document):
            found.append(f"invoice of {tenant.name}: {difference}")
        for difference in _book(tenant, ours, document, book):
            found.append(f"book of {tenant.name}: {difference}")
    return found


def _document(
    tenant: TenantFacts, plan: Mapping[str, Any], charges: Sequence[Any], document: Any
) -> Iterator[str]:
    rate = RATES.get(tenant.currency, Fraction(1))
    exact: dict[str, Fraction] = defaultdict(Fraction)
    for line in document["lines"]:
        exact[line["kind"]] += Fraction(line["charge"])
        if Fraction(line["amount"]) != _rounded(Fraction(line["charge"]), tenant.currency):
            yield f"{line['charge']} is shown as {line['amount']}"
    by_list = sum((Fraction(row["amount"]) for row in charges), Fraction()) * rate
    tokens = sum(sum(row["quantities"]) for row in charges)
    overage = plan.get("overage")
    expected = {
        "fee": Fraction(plan.get("monthly_fee", "0")),
        "usage": Fraction() if overage else by_list,
        "overage": _overage(overage, tokens) if overage else Fraction(),
    }
    for kind, amount in expected.items():
        if exact[kind] != amount:
            yield f"{kind} comes to {exact[kind]}, not {amount}"
    amounts = {kind: Fraction() for kind in exact}
    for line in document["lines"]:
        amounts[line["kind"]] += Fraction(line["amount"])
    before = sum(amounts.values(), Fraction()) - amounts.get("minimum", 0)
    lacking = max(Fraction(plan.get("minimum", "0")) - before, Fraction())
    if exact["minimum"] != lacking:
        yield f"{exact['minimum']} lift it to its minimum, not {lacking}"
    net = sum(amounts.values(), Fraction())
    tax = _rounded(net * Fraction(TAX_RATE), tenant.currency)
    if (Fraction(document["tax"]["amount"]), Fraction(document["due"])) != (tax, net + tax):
        yield f"tax {document['tax']['amount']}, due {document['due']}; not {tax}, {net + tax}"
    for row, line in zip(focus_rows(document), document["lines"], strict=False):
        if Fraction(row["ListCost"] or "") != Fraction(line["charge"]):
            yield f"FOCUS has a cost of {row['ListCost']} for {line['charge']}"


def _book(
    tenant: TenantFacts, charges: Sequence[Any], document: Any, posted: Sequence[Any]
) -> Iterator[str]:
    """It takes what the ledger holds out of what is not billed yet; what is due is receivable."""
    listed = sum((Fraction(row["amount"]) for row in charges), Fraction())
    moved: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for row in posted:
        moved[row["debit"], row["currency"]] += Fraction(row["amount"])
        moved[row["credit"], row["currency"]] -= Fraction(row["amount"])
    expected = {("receivable_unbilled", "USD"): -listed}
    if tenant.currency != "USD":
        expected[("receivable_unbilled", tenant.currency)] = Fraction()
        expected[("exchange", "USD")] = listed
        expected[("exchange", tenant.currency)] = -listed * RATES[tenant.currency]
    expected[("receivable", tenant.currency)] = Fraction(document["due"])
    for (account, currency), amount in expected.items():
        if moved[account, currency] != amount:
            yield f"{account} moves {moved[account, currency]} {currency}, not {amount}"


def _overage(table: Mapping[str, Any], tokens: int) -> Fraction:
    left, amount, after = max(tokens - table["included"], 0), Fraction(), 0
    for step in table["steps"]:
        here = left if "up_to" not in step else min(left, step["up_to"] - after)
        amount += here * Fraction(step["per_million"]) / 10**6
        left, after = left - here, step.get("up_to", 0)
    return amount


def _rounded(amount: Fraction, currency: str) -> Fraction:
    """Half away from zero."""
    unit = 10 ** DECIMALS.get(currency, 2)
    whole = int(abs(amount) * unit + Fraction(1, 2))
    return Fraction(whole if amount >= 0 else -whole, unit)
