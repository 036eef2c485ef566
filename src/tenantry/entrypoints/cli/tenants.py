"""`tenantry tenants …`: create, list, show, suspend, resume, end; and what is agreed with them."""

from __future__ import annotations

from typing import Any

import click

from tenantry.application.pages import PAGE, every_tenant
from tenantry.bootstrap.commands.control import run_with_control
from tenantry.domain.audit import CANARY_PREFIX
from tenantry.domain.knowledge_base import knowledge_base_of
from tenantry.domain.tenant import Tenant
from tenantry.entrypoints.cli.cut import say_cut
from tenantry.entrypoints.cli.lazy import LazyGroup
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import NAMED, TENANT_ID
from tenantry.ports.control import ControlPlane

_COMMANDS = {
    "contract": "contracts",
    "credit": "contracts",
    "erase-user": "export",
    "export": "export",
    "adopt-key": "tenant_keys",
    "key": "tenant_keys",
    "plan": "contracts",
    "rotate-key": "tenant_keys",
    "shred": "shred",
}


@click.group(cls=LazyGroup, modules=_COMMANDS)
def tenants() -> None:
    """Create and manage tenants.

    Example: `tenantry tenants create acme --plan pro --zone Europe/Berlin`
    """


@tenants.command()
@click.argument("name")
@click.option("--plan", required=True, help="The plan's name.")
@click.option(
    "--placement",
    type=NAMED,
    help="A placement's id; default: pool, else the only pool there is. A silo must be named.",
)
@click.option("--zone", default="UTC", show_default=True, help="IANA time zone of its contract.")
@click.option(
    "--anchor-day",
    type=click.IntRange(1, 31),
    default=1,
    show_default=True,
    help="Day of the month on which its billing periods begin.",
)
@click.option("--currency", default="USD", show_default=True, help="Of its invoices.")
@click.option(
    "--region", "regions", type=NAMED, multiple=True, help="Allow only this region; repeatable."
)
@as_json
def create(name: str, plan: str, json_output: bool, regions: tuple[str, ...], **rest: Any) -> None:
    """Create a tenant.

    Example: `tenantry tenants create acme --plan pro`
    """
    allowed = regions or None
    made = run_with_control(
        lambda control: control.create_tenant(name, plan=plan, regions_allowed=allowed, **rest)
    )
    _show(made, json_output)


@tenants.command(name="list")
@click.option("--after", type=TENANT_ID, help="Continue after this id.")
@click.option("--limit", type=click.IntRange(1), help="At most so many. [default: all]")
@click.option(
    "--all", "everyone", is_flag=True, help="Also those that audits of isolation made and put away."
)
@as_json
def list_(after: str | None, limit: int | None, everyone: bool, json_output: bool) -> None:
    """List tenants. JSON has all.

    Example: `tenantry tenants list --json`
    """
    shown, hidden, more = run_with_control(
        lambda control: listed(control, after, limit, everyone=everyone or json_output)
    )
    if json_output:
        print_json([tenant_json(tenant) for tenant in shown])
    else:
        print_table(
            ("id", "name", "status", "plan", "placement", "zone"),
            ((t.id, t.name, t.status, t.plan.name, t.placement.id, t.zone) for t in shown),
        )
    if hidden:
        of_audits = f"{hidden:,} of ended audits of isolation"
        say(f"Not shown: {of_audits} (--all shows them).", err=True)
    if more:
        say_cut(len(shown), f"--after {shown[-1].id}")


async def listed(
    control: ControlPlane, after: str | None, limit: int | None, *, everyone: bool
) -> tuple[list[Tenant], int, bool]:
    """Tenants behind an id, at most `limit` of them; how many up to there are left out; and whether
    there are more to show."""
    shown: list[Tenant] = []
    left_out: list[Tenant] = []
    async for tenant in every_tenant(control, after=after, page_rows=PAGE):
        if not everyone and _is_put_away(tenant):
            left_out.append(tenant)
        elif len(shown) == limit:
            return shown, sum(one.id < shown[-1].id for one in left_out), True
        else:
            shown.append(tenant)
    return shown, len(left_out), False


def _is_put_away(tenant: Tenant) -> bool:
    """A canary of an audit, as the margin report knows them, unless it is still served."""
    ours = tenant.name.startswith(CANARY_PREFIX) and tenant.plan.name.startswith(CANARY_PREFIX)
    return ours and tenant.status != "active"


@tenants.command()
@click.argument("tenant", type=NAMED)
@as_json
def show(tenant: str, json_output: bool) -> None:
    """Show a tenant, named by id or name.

    Example: `tenantry tenants show acme`
    """
    _show(run_with_control(lambda control: control.get_tenant(tenant)), json_output)


@tenants.command()
@click.argument("tenant", type=NAMED)
def suspend(tenant: str) -> None:
    """Refuse all of a tenant's requests from the next one on.

    Example: `tenantry tenants suspend acme`
    """
    _set_suspended(tenant, True)


@tenants.command()
@click.argument("tenant", type=NAMED)
def resume(tenant: str) -> None:
    """Serve a suspended tenant again.

    Example: `tenantry tenants resume acme`
    """
    _set_suspended(tenant, False)


def _set_suspended(name: str, suspended: bool) -> None:
    async def work(control: ControlPlane) -> Tenant:
        tenant = await control.get_tenant(name)
        await control.set_suspended(tenant.id, suspended)
        return tenant

    tenant = run_with_control(work)
    say(f"{tenant.id} ({tenant.name}) is {'suspended' if suspended else 'active'}")


def tenant_json(tenant: Tenant) -> dict[str, Any]:
    return {
        "id": tenant.id,
        "name": tenant.name,
        "status": tenant.status,
        "plan": tenant.plan.name,
        "plan_version": tenant.plan.version,
        "placement": tenant.placement.id,
        "account": tenant.placement.account,
        "knowledge_base_id": knowledge_base_of(tenant.id),
        "zone": tenant.zone,
        "anchor_day": tenant.anchor_day,
        "currency": tenant.invoice_currency,
        "regions_allowed": sorted(tenant.regions_allowed) if tenant.regions_allowed else None,
    }


def _show(tenant: Tenant, json_output: bool) -> None:
    if json_output:
        print_json(tenant_json(tenant))
    else:
        print_table(("field", "value"), tenant_json(tenant).items())
