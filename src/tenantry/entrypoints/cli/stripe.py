"""`tenantry stripe …`: whose invoices Stripe collects, and what it does not have yet."""

from __future__ import annotations

import dataclasses

import click

from tenantry.bootstrap.commands.control import run_with_desk
from tenantry.bootstrap.deployment import settings
from tenantry.config import variable_of
from tenantry.entrypoints.cli.cut import say_cut
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import NAMED
from tenantry.ports.control import ControlPlane
from tenantry.ports.delivery import NoticeDesk

_NOWHERE = (
    f"{variable_of('stripe_api_key')} is not set here: where the worker has none either, invoices"
    " are pushed nowhere, and later by `tenantry notices send` alone"
)


@click.group()
def stripe() -> None:
    """Say whose invoices Stripe collects, and see what it does not have yet.

    Example: `tenantry stripe link acme cus_Q5p1xYz`
    """


@stripe.command()
@click.argument("tenant", type=NAMED)
@click.argument("customer")
def link(tenant: str, customer: str) -> None:
    """Have a tenant's invoices pushed to its customer at Stripe, from the next one on.

    Example: `tenantry stripe link acme cus_Q5p1xYz`
    """

    async def work(control: ControlPlane, desk: NoticeDesk) -> None:
        await desk.link_stripe((await control.get_tenant(tenant)).id, customer)

    run_with_desk(work)
    say(f"{tenant} is {customer} at Stripe")
    if settings().stripe_api_key is None:
        say(_NOWHERE, err=True)


@stripe.command()
@click.argument("tenant", type=NAMED)
def unlink(tenant: str) -> None:
    """Push a tenant's invoices no more.

    Example: `tenantry stripe unlink acme`
    """

    async def work(control: ControlPlane, desk: NoticeDesk) -> bool:
        return await desk.unlink_stripe((await control.get_tenant(tenant)).id)

    if not run_with_desk(work):
        raise click.ClickException(f"{tenant} is no customer at Stripe")
    say(f"{tenant} is no customer at Stripe any more")


@stripe.command(name="list")
@as_json
def list_(json_output: bool) -> None:
    """List who is a customer at Stripe.

    Example: `tenantry stripe list`
    """
    rows = [dataclasses.asdict(row) for row in run_with_desk(lambda _, desk: desk.stripe_links())]
    if json_output:
        print_json(rows)
    elif rows:
        print_table(tuple(rows[0]), (tuple(row.values()) for row in rows))
    else:
        say("nobody is a customer at Stripe")


_COLUMNS = (
    "notice",
    "tenant",
    "kind",
    "number",
    "since",
    "state",
    "attempts",
    "next",
    "last error",
)


@stripe.command()
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="At most so many, the oldest.",
)
@as_json
def waiting(limit: int, json_output: bool) -> None:
    """List what Stripe does not have: what is on its way, and what is left to a person.

    A void is tried until Stripe has it. `tenantry notices dismiss NOTICE --sink stripe` ends it.

    Example: `tenantry stripe waiting`
    """
    found = run_with_desk(lambda _, desk: desk.owed("stripe", limit + 1))
    rows = [dataclasses.asdict(row) for row in found[:limit]]
    if json_output:
        print_json(rows)
    elif rows:
        print_table(_COLUMNS, (tuple(row.values()) for row in rows))
    else:
        say("Stripe has all that it should have")
        if settings().stripe_api_key is None:
            say(_NOWHERE, err=True)
    if len(found) > limit:
        say_cut(limit, "see --limit")
