"""`tenantry webhooks …`: where tenants themselves hear of their budgets, invoices and jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from tenantry.bootstrap.commands.control import run_with_endpoints
from tenantry.domain.ids import TenantId
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import NAMED
from tenantry.ports.control import ControlPlane
from tenantry.ports.endpoints import Endpoint, Endpoints

T = TypeVar("T")


@click.group()
def webhooks() -> None:
    """Set up a tenant's own webhook endpoints.

    Example: `tenantry webhooks add acme https://acme.example.com/hooks/tenantry`
    """


@webhooks.command()
@click.argument("tenant", type=NAMED)
@click.argument("url")
@as_json
def add(tenant: str, url: str, json_output: bool) -> None:
    """Add an endpoint; its secret is shown once. It is https, at a public address.

    Example: `tenantry webhooks add acme https://acme.example.com/hooks/tenantry`
    """
    made = _run(tenant, lambda tenant_id, endpoints: endpoints.add(tenant_id, url))
    _show_secret(made, json_output)


@webhooks.command(name="list")
@click.argument("tenant", type=NAMED)
@as_json
def list_(tenant: str, json_output: bool) -> None:
    """List a tenant's endpoints, without their secrets.

    Example: `tenantry webhooks list acme`
    """
    found = _run(tenant, lambda tenant_id, endpoints: endpoints.all_of(tenant_id))
    rows = [_shown(endpoint) for endpoint in found]
    if json_output:
        print_json(rows)
    elif rows:
        print_table(tuple(rows[0]), (tuple(row.values()) for row in rows))
    else:
        say("no endpoints")


@webhooks.command()
@click.argument("tenant", type=NAMED)
@click.argument("endpoint")
@as_json
def rotate(tenant: str, endpoint: str, json_output: bool) -> None:
    """Give an endpoint a new secret, shown once; the old one signs too until `forget`.

    Example: `tenantry webhooks rotate acme whk_01jd0000000000000000000000`
    """
    turned = _run(tenant, lambda tenant_id, endpoints: endpoints.rotate(tenant_id, endpoint))
    _show_secret(turned, json_output)


@webhooks.command()
@click.argument("tenant", type=NAMED)
@click.argument("endpoint")
def forget(tenant: str, endpoint: str) -> None:
    """Sign with the old secret no more.

    Example: `tenantry webhooks forget acme whk_01jd0000000000000000000000`
    """
    _run(tenant, lambda tenant_id, endpoints: endpoints.forget_previous(tenant_id, endpoint))
    say(f"{endpoint} has one secret")


@webhooks.command()
@click.argument("tenant", type=NAMED)
@click.argument("endpoint")
def enable(tenant: str, endpoint: str) -> None:
    """Send again to an endpoint that had answered 410, from the next notice on.

    Example: `tenantry webhooks enable acme whk_01jd0000000000000000000000`
    """
    _run(tenant, lambda tenant_id, endpoints: endpoints.enable(tenant_id, endpoint))
    say(f"{endpoint} is enabled")


@webhooks.command()
@click.argument("tenant", type=NAMED)
@click.argument("endpoint")
def remove(tenant: str, endpoint: str) -> None:
    """Remove an endpoint, and what was on its way to it.

    Example: `tenantry webhooks remove acme whk_01jd0000000000000000000000`
    """
    _run(tenant, lambda tenant_id, endpoints: endpoints.remove(tenant_id, endpoint))
    say(f"{endpoint} is removed")


def _run(tenant: str, act: Callable[[TenantId, Endpoints], Awaitable[T]]) -> T:
    async def work(control: ControlPlane, endpoints: Endpoints) -> T:
        return await act((await control.get_tenant(tenant)).id, endpoints)

    return run_with_endpoints(work)


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "created_at": endpoint.created_at,
        "disabled_at": endpoint.disabled_at,
        "disabled_reason": endpoint.disabled_reason,
        "secrets": len(endpoint.secrets),
    }


def _show_secret(endpoint: Endpoint, json_output: bool) -> None:
    shown = {"id": endpoint.id, "url": endpoint.url, "secret": endpoint.secrets[0]}
    if json_output:
        print_json(shown)
    else:
        print_table(("what", "value"), shown.items())
        say("The secret is not shown again.")
