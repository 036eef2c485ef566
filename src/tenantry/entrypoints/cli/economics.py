"""`tenantry economics`: what a month costs and earns, as it might be or as the ledger has it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from tenantry.adapters.shipped import bedrock_prices
from tenantry.application.margin import TAG
from tenantry.domain import money
from tenantry.domain.deployments import DEPLOYMENTS, TENANTS, Load, bill_of
from tenantry.domain.economics import HONEST, Scenario
from tenantry.domain.heavy_tail import SIGMA_MAX
from tenantry.domain.margin import MarginBy
from tenantry.domain.price import STANDARD_TIER, Unpriced
from tenantry.domain.usage import TokenClass
from tenantry.entrypoints.cli import economics_view as view
from tenantry.entrypoints.cli.economics_actual import print_actual
from tenantry.entrypoints.cli.output import as_json
from tenantry.entrypoints.cli.values import DAY, FILE, NAMED

# The fixed costs of the reference case, by its numbers of customers.
REFERENCE_FIXED = {100: Decimal(50)}
_COUNT = click.IntRange(0, 10_000_000)


class _Figure(click.ParamType[Decimal]):
    """A decimal of at least 0, read exactly."""

    name = "decimal"

    def __init__(self, at_most: int = 1_000_000_000) -> None:
        self._at_most = at_most

    def convert(self, value: Any, param: Any, ctx: Any) -> Decimal:
        try:
            figure = money.amount_from(str(value))
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)
        if not 0 <= figure <= self._at_most:
            self.fail(f"{value} is not between 0 and {self._at_most}", param, ctx)
        return figure


@click.command()
@click.option("--customers", type=_COUNT, multiple=True, help="Repeatable; default: 10.")
@click.option("--honest", is_flag=True, help="Retrieval-sized prompts, floors, fees, waste, churn.")
@click.option("--queries", type=_COUNT, help="Of one customer in a month.")
@click.option("--tokens-in", type=_COUNT, help="Of one query.")
@click.option("--tokens-out", type=_COUNT, help="Of one query.")
@click.option("--model", type=NAMED, help="Take its prices from the shipped price book.")
@click.option("--revenue", type=_Figure(), help="Flat, of one customer in a month, USD.")
@click.option("--markup", type=_Figure(1_000), help="Charge models' cost times this; no flat fee.")
@click.option("--waste", type=_Figure(10), help="Share of models' cost: retries, abandoned.")
@click.option("--churn", type=_Figure(1), help="Share of customers that leave in a month.")
@click.option("--acquisition", type=_Figure(), help="What winning one customer costs, USD.")
@click.option("--tail", type=_Figure(SIGMA_MAX), help="Sigma of a log-normal use; 1 is usual.")
@click.option("--deployment", type=click.Choice(list(DEPLOYMENTS)), help="Its bill as fixed cost.")
@click.option("--deployments", is_flag=True, help="What each deployment costs, by tenants.")
@click.option("--chart", is_flag=True, help="Bars below the table.")
@click.option("--svg", type=click.Path(path_type=Path), help="Write table and bars to a file.")
@click.option("--actual", is_flag=True, help="Margin from the ledger instead.")
@click.option("--from", "start", type=DAY, help="With --actual: first day, UTC.")
@click.option("--to", "end", type=DAY, help="With --actual: the day after the last, UTC.")
@click.option(
    "--by",
    type=click.Choice([each.value for each in MarginBy]),
    default="tenant",
    show_default=True,
    help="A row for each of these.",
)
@click.option("--tag", type=NAMED, default=TAG, show_default=True, help="With --by tag: which.")
@click.option(
    "--costs",
    type=FILE,
    help="With --actual: TOML bill of shared costs; default: the setting's.",
)
@as_json
def economics(customers: tuple[int, ...], json_output: bool, **asked: Any) -> None:
    """Print cost, revenue and margin of a month for each number of customers.

    Example: `tenantry economics --customers 10 --customers 100`
    """
    if asked["actual"]:
        start: datetime | None = asked["start"]
        by = MarginBy(asked["by"])
        print_actual(start, asked["end"], by, asked["tag"], asked["costs"], json_output)
        return
    if asked["deployments"]:
        queries = asked["queries"] if asked["queries"] is not None else HONEST.queries_per_customer
        view.print_deployments(customers or TENANTS, queries, asked["deployment"], json_output)
        return
    scenarios = [_scenario(count, asked) for count in customers or (10,)]
    shown = view.Shown(scenarios, asked["tail"], asked["chart"], asked["svg"])
    view.print_scenarios(shown, json_output)


def _scenario(customers: int, asked: dict[str, Any]) -> Scenario:
    """The reference or the honest case, with what was asked for in its place."""
    if asked["honest"]:
        scenario = replace(HONEST, customers=customers)
    else:
        scenario = Scenario(customers)
        fixed = REFERENCE_FIXED.get(customers, scenario.fixed_cost)
        scenario = replace(scenario, fixed_cost=fixed)
    names = {
        "queries": "queries_per_customer",
        "tokens_in": "tokens_in",
        "tokens_out": "tokens_out",
        "waste": "waste_rate",
        "churn": "monthly_churn",
        "acquisition": "acquisition_cost",
        "markup": "markup",
    }
    changes = {field: asked[name] for name, field in names.items() if asked[name] is not None}
    if asked["revenue"] is not None:
        changes["revenue_per_customer"] = asked["revenue"]
    elif asked["markup"] is not None:
        changes["revenue_per_customer"] = Decimal(0)
    if asked["model"] is not None:
        changes |= _prices_of(asked["model"])
    scenario = replace(scenario, **changes)
    if asked["deployment"] is not None:
        load = Load(customers, customers * scenario.queries_per_customer)
        scenario = replace(scenario, fixed_cost=bill_of(asked["deployment"], load).usd)
    return scenario


def _prices_of(model: str) -> dict[str, Decimal]:
    try:
        rates = bedrock_prices().of(model).rates(STANDARD_TIER, 0)
        return {
            "price_in": rates[TokenClass.UNCACHED_IN],
            "price_out": rates[TokenClass.OUT],
        }
    except (Unpriced, KeyError):
        raise click.ClickException(
            f"{model} has no prices for text in the shipped book; `tenantry models list` has names"
        ) from None
