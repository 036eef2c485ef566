"""`tenantry budgets …`: caps of a tenant, an API key, an end user or an agent's run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import click

from tenantry.application.budgets import budget_subject
from tenantry.application.pacing import Outlook
from tenantry.application.pages import PAGE, to_the_end
from tenantry.bootstrap.commands.control import run_with_outlooks
from tenantry.bootstrap.commands.keys import run_with_labels
from tenantry.domain.budget import (
    BASES,
    PERIODS,
    Basis,
    BudgetError,
    BudgetKey,
    Period,
    Scope,
    limit_from,
)
from tenantry.domain.tenant import Tenant
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import NAMED
from tenantry.ports.control import Budget, ControlPlane
from tenantry.ports.labels import Labels

_SHOWN = (
    "scope",
    "scope_id",
    "period",
    "basis",
    "limit",
    "currency",
    "hard",
    "settled",
    "reserved",
    "remaining",
    "resets_at",
    "set_by",
    "forecast",
    "low",
    "high",
    "passes_at",
)
F = TypeVar("F", bound=Callable[..., Any])


def _whose(command: F) -> F:
    """Options that name a budget; without the first three it is the whole tenant's."""
    for option in (
        click.option(
            "--basis",
            type=click.Choice(BASES),
            default="charge",
            show_default=True,
            help="What is counted: what the tenant is charged, or what the provider asks.",
        ),
        click.option(
            "--period",
            type=click.Choice(PERIODS),
            default="month",
            show_default=True,
            help="After which it begins anew; total: never.",
        ),
        click.option("--run", type=NAMED, help="Of this run, as `x-tenantry-run` names it."),
        click.option("--user", type=NAMED, help="Of this end user, as `x-tenantry-user` names it."),
        click.option("--api-key", type=NAMED, help="Of this API key, key_…"),
    ):
        command = option(command)
    return command


@click.group()
def budgets() -> None:
    """Set, show and remove budgets.

    Example: `tenantry budgets set acme --limit 25 --period month`
    """


@budgets.command(name="set")
@click.argument("tenant", type=NAMED)
@click.option("--limit", required=True, help="In the contract's currency; 0 blocks all.")
@_whose
@click.option("--soft", is_flag=True, help="Admit and alert instead of refusing.")
def set_(
    tenant: str,
    limit: str,
    api_key: str | None,
    user: str | None,
    run: str | None,
    period: Period,
    basis: Basis,
    soft: bool,
) -> None:
    """Set a budget, or change it; it holds from the next request on.

    A budget of basis cost is a guard in what the provider asks, USD; no tenant sees it.

    Example: `tenantry budgets set acme --limit 0.25 --run nightly-report --period total`
    """
    amount = _amount(limit)
    scope, scope_id = _scope(api_key, user, run)

    async def work(control: ControlPlane, labels: Labels) -> tuple[str, str]:
        owner = await control.get_tenant(tenant)
        key = await _key(labels, owner, scope, scope_id, period, basis)
        of = Budget(owner.id, scope, key.scope[1], period, basis, amount, not soft)
        await control.set_budget(of)
        return key.subject, owner.invoice_currency if basis == "charge" else "USD"

    subject, currency = run_with_labels(work)
    each = "in total" if period == "total" else f"a {period}"
    how = (
        "soft: what passes it is served, and alerts" if soft else "hard: what passes it is refused"
    )
    say(f"budget {subject} of {tenant} is {limit} {currency} {each}, in {basis}; {how}")


@budgets.command()
@click.argument("tenant", type=NAMED)
@as_json
def show(tenant: str, json_output: bool) -> None:
    """Show a tenant's budgets, what is left of them, and where their periods will end.

    Example: `tenantry budgets show acme`
    """

    async def work(
        control: ControlPlane, found: Tenant, outlooks: Sequence[Outlook]
    ) -> list[dict[str, Any]]:
        by_key = {outlook.key: outlook for outlook in outlooks}
        rows = await to_the_end(
            lambda after: control.list_budgets(found.id, after=after, limit=PAGE), _key_of
        )
        return [{**budget, **_forecast(by_key.get(_key_of(budget)))} for budget in rows]

    rows = run_with_outlooks(tenant, work)
    if json_output:
        print_json(rows)
    elif rows:
        print_table(
            _SHOWN,
            ([row[name] if row[name] != "" else None for name in _SHOWN] for row in rows),
            without_empty=True,
        )
    else:
        say("no budgets")


@budgets.command()
@click.argument("tenant", type=NAMED)
@_whose
def remove(
    tenant: str,
    api_key: str | None,
    user: str | None,
    run: str | None,
    period: Period,
    basis: Basis,
) -> None:
    """Remove a budget; from the next request on it caps nothing.

    Example: `tenantry budgets remove acme --run nightly-report --period total`
    """
    scope, scope_id = _scope(api_key, user, run)

    async def work(control: ControlPlane, labels: Labels) -> str:
        owner = await control.get_tenant(tenant)
        key = await _key(labels, owner, scope, scope_id, period, basis)
        await control.remove_budget(owner.id, key)
        return key.subject

    say(f"budget {run_with_labels(work)} of {tenant} is removed")


def _scope(api_key: str | None, user: str | None, run: str | None) -> tuple[Scope, str | None]:
    given: list[tuple[Scope, str | None]] = [("api_key", api_key), ("user", user), ("run", run)]
    named = [(scope, scope_id) for scope, scope_id in given if scope_id is not None]
    if len(named) > 1:
        raise click.UsageError("name one of --api-key, --user and --run")
    return named[0] if named else ("tenant", None)


async def _key(
    labels: Labels,
    owner: Tenant,
    scope: Scope,
    scope_id: str | None,
    period: Period,
    basis: Basis,
) -> BudgetKey:
    return BudgetKey(await budget_subject(labels, owner, scope, scope_id), period, basis)


def _forecast(outlook: Outlook | None) -> dict[str, Any]:
    found = None if outlook is None else outlook.forecast
    return {
        "forecast": None if found is None else found.expected,
        "low": None if found is None else found.low,
        "high": None if found is None else found.high,
        "passes_at": None if found is None else found.passes_at,
    }


def _key_of(budget: Mapping[str, Any]) -> BudgetKey:
    scope, scope_id = budget["scope"], budget["scope_id"]
    subject = f"{scope}:{scope_id}" if scope_id else scope
    return BudgetKey(subject, budget["period"], budget["basis"])


def _amount(text: str) -> Decimal:
    try:
        return limit_from(text)
    except BudgetError as error:
        raise click.BadParameter(str(error), param_hint="--limit") from None
