"""`tenantry usage`: what a tenant used and is charged."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from tenantry.application.budgets import user_hash_of
from tenantry.bootstrap.commands.control import run_with_ledger
from tenantry.bootstrap.commands.keys import run_with_labels
from tenantry.domain.end_user import user_from
from tenantry.domain.period import Span
from tenantry.domain.tenant import Principal
from tenantry.entrypoints.cli.cut import say_cut
from tenantry.entrypoints.cli.output import as_json, print_json, print_table
from tenantry.entrypoints.cli.values import INSTANT, NAMED
from tenantry.ports.control import ControlPlane
from tenantry.ports.labels import Labels
from tenantry.ports.ledger import TenantLedger, UsageRow

_GROUPS = ("model", "day", "hour", "key", "user", "tag", "run")
_SHOWN = "%Y-%m-%dT%H:%M:%SZ"


@click.command()
@click.argument("tenant", type=NAMED)
@click.option(
    "--from", "start", type=INSTANT, help="UTC; default: the running billing period's start."
)
@click.option("--to", "end", type=INSTANT, help="UTC, exclusive; default: that period's end.")
@click.option(
    "--by",
    type=click.Choice(_GROUPS),
    multiple=True,
    default=["model"],
    show_default=True,
    help="A row for each; repeat it for groups of several.",
)
@click.option("--user", type=NAMED, help="Of this end user alone, as `x-tenantry-user` names it.")
@click.option("--run", type=NAMED, help="Of this run alone, as `x-tenantry-run` names it.")
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=10_000,
    show_default=True,
    help="At most so many rows.",
)
@as_json
def usage(
    tenant: str,
    start: datetime | None,
    end: datetime | None,
    by: tuple[str, ...],
    user: str | None,
    run: str | None,
    limit: int,
    json_output: bool,
) -> None:
    """Show usage and list charge, to the token.

    Example: `tenantry usage acme --by day --by model`
    """
    if start is not None and end is not None and start >= end:
        raise click.BadParameter("must be before --to", param_hint="--from")
    groups = list(dict.fromkeys(by))
    user_hash = None if user is None else _user_hash(tenant, user)

    async def work(ledger: TenantLedger, principal: Principal) -> list[UsageRow]:
        span = _span(start, end, await ledger.period(principal))
        return await ledger.usage(
            principal,
            span.start,
            span.end,
            groups,  # type: ignore[arg-type]
            user_hash=user_hash,
            run_id=run,
            limit=limit + 1,
        )

    found = run_with_ledger(tenant, work)
    rows = found[:limit]
    if json_output:
        print_json(rows)
    else:
        classes = sorted({name for row in rows for name in row.tokens})
        print_table(
            (*groups, "requests", *classes, "charge", "currency"),
            (
                (
                    *(row.group[name] or None for name in groups),
                    row.requests,
                    *(row.tokens.get(name, 0) for name in classes),
                    row.charge,
                    row.currency,
                )
                for row in rows
            ),
        )
    if len(found) > limit:
        say_cut(limit, "see --limit, --from and --to")


def _span(start: datetime | None, end: datetime | None, period: Span) -> Span:
    """What is not given is the running period's."""
    since = period.start if start is None else start.replace(tzinfo=UTC)
    until = period.end if end is None else end.replace(tzinfo=UTC)
    if since < until:
        return Span(since, until)
    name, other = ("--to", "--from") if start is None else ("--from", "--to")
    raise click.BadParameter(
        f"the running period is from {period.start:{_SHOWN}} to {period.end:{_SHOWN}};"
        f" give {other} too",
        param_hint=name,
    )


def _user_hash(tenant: str, user: str) -> str:
    async def work(control: ControlPlane, labels: Labels) -> str:
        named = user_from(user, field="--user")
        assert named is not None
        return await user_hash_of(labels, await control.get_tenant(tenant), named)

    return run_with_labels(work)
