"""`tenantry rates …`: dated exchange rates with their source."""

from __future__ import annotations

from datetime import datetime

import click

from tenantry.application.billing import Billing
from tenantry.application.pages import PAGE, to_the_end
from tenantry.bootstrap.commands.billing import run_with_billing
from tenantry.domain import money
from tenantry.domain.contract import LIST_CURRENCY, ExchangeRate
from tenantry.domain.invoice import rate_json
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import DAY
from tenantry.ports.control import ControlPlane


@click.group()
def rates() -> None:
    """Add and list exchange rates: what turns list charges in USD into a contract's currency.

    Example: `tenantry rates list`
    """


@rates.command()
@click.argument("quote")
@click.argument("rate")
@click.option("--day", type=DAY, required=True, help="From this day on.")
@click.option("--source", required=True, help="Who says so; stands on the invoice.")
def add(quote: str, rate: str, day: datetime, source: str) -> None:
    """Add a rate: 1 USD is RATE units of QUOTE. What is entered is never changed.

    Example: `tenantry rates add EUR 0.9213 --day 2026-11-01 --source "ECB reference rate"`
    """
    try:
        amount = money.amount_from(rate)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="RATE") from None
    entered = ExchangeRate(day.date(), LIST_CURRENCY, quote, amount, source)
    entered.check()

    run_with_billing(lambda _, billing: billing.contracts.add_rate(entered))
    say(f"from {entered.day} on 1 {LIST_CURRENCY} is {rate} {quote} ({source})")


@rates.command(name="list")
@as_json
def list_(json_output: bool) -> None:
    """List the exchange rates, newest first within a currency.

    Example: `tenantry rates list`
    """

    async def work(_: ControlPlane, billing: Billing) -> list[ExchangeRate]:
        return await to_the_end(
            lambda after: billing.contracts.rates(PAGE, after=after),
            lambda rate: (rate.quote, rate.base, rate.day),
        )

    found = run_with_billing(work)
    if json_output:
        print_json([rate_json(rate) for rate in found])
    else:
        print_table(
            ("day", "from", "to", "rate", "source"),
            ((str(r.day), r.base, r.quote, r.rate, r.source) for r in found),
        )
