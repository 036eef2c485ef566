"""Invoices that are corrected by documents that follow them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pypdfium2
from tests.support.billing import House, months_ago
from tests.support.ledger import World, synthetic_prices

from tenantry.adapters.paper.typesetter import Typesetter
from tenantry.adapters.postgres.corrections import PostgresCorrections
from tenantry.application.corrections import correct_prices
from tenantry.application.invoicing import regenerate
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.period import Span
from tenantry.domain.tenant import Principal
from tenantry.ports.billing import Finalised

# Months that have ended in every zone: in the first hours of one, the last goes on in New York.
NOW = datetime.now(UTC) - timedelta(hours=13)
LAST, BEFORE, FIRST = (months_ago(months, now=NOW) for months in (1, 2, 3))


async def corrected(world: World, who: Principal, span: Span, factor: str) -> None:
    right = await world.control.import_prices(synthetic_prices(Decimal(factor)))
    fixes = PostgresCorrections(world.databases.control)
    await correct_prices(fixes, who.tenant_id, span.start, span.end, wrong=1, right=right)


async def in_zones(house: House) -> tuple[Principal, Principal]:
    """Anna in New York with dollars, Bert in Zurich with euros, since three months."""
    found = []
    for who, zone, currency in (
        (house.world.anna, "America/New_York", "USD"),
        (house.world.bert, "Europe/Zurich", "EUR"),
    ):
        await house.as_the_past(
            f"UPDATE tenantry.tenant SET zone = '{zone}' WHERE tenant_id = '{who.tenant_id}'"
        )
        of = replace(who, tenant=replace(who.tenant, zone=zone))
        await house.contract(of, currency=currency, tax_rate=Decimal("0.1"), tax_label="VAT")
        await house.since(of, months_ago(3, day=2, now=NOW))
        found.append(of)
    return found[0], found[1]


async def rates(house: House) -> None:
    for rate, day in (("0.9", date(2020, 1, 1)), ("0.8", BEFORE.replace(day=1).date())):
        await house.billing.contracts.add_rate(
            ExchangeRate(day, "USD", "EUR", Decimal(rate), "ECB")
        )


async def is_made_again(house: House, who: Principal, done: Finalised) -> bool:
    stored = await house.billing.book.document(who.tenant_id, str(done.number))
    made = [await regenerate(invoices, who.tenant_id, stored)
            for invoices in (house.billing.book, house.billing.invoices)]  # fmt: skip
    return json.loads(stored.document) == done.document and all(each.same for each in made)


def text_of(document: Any) -> str:
    pdf = pypdfium2.PdfDocument(Typesetter().render(document))
    try:
        return " ".join(" ".join(p.get_textpage().get_text_range() for p in pdf).split())
    finally:
        pdf.close()
