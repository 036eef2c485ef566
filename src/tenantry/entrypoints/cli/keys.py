"""`tenantry keys …`: create (shown once), list, revoke."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from tenantry.application.pages import PAGE, to_the_end
from tenantry.bootstrap.commands.control import run_with_control
from tenantry.domain.tenant import DEFAULT_SCOPES, Scope
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import NAMED
from tenantry.ports.control import ControlPlane, KeyRow, NewKey


@click.group()
def keys() -> None:
    """Create and revoke a tenant's API keys.

    Example: `tenantry keys create acme --scope infer --expires-days 90`
    """


@keys.command()
@click.argument("tenant", type=NAMED)
@click.option("--name", default="", help="What the key is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([str(scope) for scope in Scope]),
    help="What it may do; repeatable. Default: all but admin; naming one drops the default."
    " admin includes the others.",
)
@click.option(
    "--model", "models", type=NAMED, multiple=True, help="Allow only this model; repeatable."
)
@click.option(
    "--expires-days",
    type=click.IntRange(1, 3650),
    help="Refused after so many days; default: never.",
)
@as_json
def create(
    tenant: str,
    name: str,
    scopes: tuple[str, ...],
    models: tuple[str, ...],
    expires_days: int | None,
    json_output: bool,
) -> None:
    """Create an API key. Its secrets are shown once and never again.

    Example: `tenantry keys create acme --name backend`
    """

    async def work(control: ControlPlane) -> NewKey:
        owner = await control.get_tenant(tenant)
        return await control.create_key(
            owner.id,
            name=name,
            scopes=frozenset(Scope(scope) for scope in scopes) or DEFAULT_SCOPES,
            models_allowed=frozenset(models) or None,
            expires_at=datetime.now(UTC) + timedelta(days=expires_days) if expires_days else None,
        )

    key = run_with_control(work)
    shown = {
        "id": key.id,
        "key": key.bearer,
        "access_key_id": key.access_key_id,
        "secret_access_key": key.secret_access_key,
    }
    if json_output:
        print_json(shown)
    else:
        print_table(("field", "value"), shown.items())
        say("Keep these now: they are not shown again.", err=True)


@keys.command(name="list")
@click.argument("tenant", type=NAMED)
@as_json
def list_(tenant: str, json_output: bool) -> None:
    """List a tenant's API keys, without their secrets.

    Example: `tenantry keys list acme`
    """

    async def work(control: ControlPlane) -> list[KeyRow]:
        owner = await control.get_tenant(tenant)
        return await to_the_end(
            lambda after: control.list_keys(owner.id, after=after, limit=PAGE), lambda row: row.id
        )

    rows = run_with_control(work)
    if json_output:
        print_json(rows)
    else:
        print_table(
            ("id", "name", "ends in", "scopes", "created", "expires", "revoked"),
            (
                (r.id, r.name or None, r.hint, r.scopes, r.created_at, r.expires_at, r.revoked_at)
                for r in rows
            ),
            without_empty=True,
        )


@keys.command()
@click.argument("tenant", type=NAMED)
@click.argument("api_key_id")
def revoke(tenant: str, api_key_id: str) -> None:
    """Refuse an API key from the next request on.

    Example: `tenantry keys revoke acme key_01h…`
    """

    async def work(control: ControlPlane) -> None:
        await control.revoke_key((await control.get_tenant(tenant)).id, api_key_id)

    run_with_control(work)
    say(f"{api_key_id} is revoked")
