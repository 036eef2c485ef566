"""`tenantry economics`: what a month costs and earns, by number of customers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import click

from tenantry.domain.economics import HONEST, Economics, Scenario, shown
from tenantry.domain.economics import economics as figures_of
from tenantry.entrypoints.cli.output import as_json, print_json, print_table

# The fixed costs of the reference case, by its numbers of customers.
REFERENCE_FIXED = {100: Decimal(50)}


@click.command()
@click.option("--customers", type=click.IntRange(0, 10_000_000), multiple=True, default=(10,))
@click.option("--honest", is_flag=True, help="Retrieval-sized prompts, floors, fees, waste, churn.")
@as_json
def economics(customers: tuple[int, ...], honest: bool, json_output: bool) -> None:
    """Print cost, revenue and margin of a month for each number of customers.

    Example: `tenantry economics --customers 10 --customers 100`
    """
    rows = [_row(count, figures_of(_scenario(count, honest))) for count in customers]
    if json_output:
        print_json(rows)
    else:
        print_table(
            tuple(name.replace("_", " ") for name in rows[0]), (tuple(row.values()) for row in rows)
        )


def _scenario(customers: int, honest: bool) -> Scenario:
    if honest:
        return replace(HONEST, customers=customers)
    reference = Scenario(customers)
    return replace(reference, fixed_cost=REFERENCE_FIXED.get(customers, reference.fixed_cost))


def _row(customers: int, figures: Economics) -> dict[str, Any]:
    return {
        "customers": customers,
        "model_cost": str(shown(figures.model_cost)),
        "waste": str(shown(figures.waste)),
        "fixed_cost": str(shown(figures.fixed_cost)),
        "fees": str(shown(figures.fees)),
        "total_cost": str(shown(figures.total_cost)),
        "revenue": str(shown(figures.revenue)),
        "margin": None if figures.margin_percent is None else str(figures.margin_percent),
        "lifetime_value": _shown(figures.lifetime_value),
        "payback_months": _shown(figures.payback_months),
    }


def _shown(amount: Decimal | None) -> str | None:
    return None if amount is None else str(shown(amount))
