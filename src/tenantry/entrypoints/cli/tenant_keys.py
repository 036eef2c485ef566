"""`tenantry tenants key|rotate-key|adopt-key`: which KMS key wraps a tenant's key, new versions of
it, and going on without one that is lost."""

from __future__ import annotations

from typing import Any

import click

from tenantry.application.giving_up_keys import give_up_key
from tenantry.application.key_rotation import KeyState, rotate_keys
from tenantry.bootstrap.commands.keys import run_with_key_notes, run_with_keys
from tenantry.config import variable_of
from tenantry.domain.document import home_of
from tenantry.domain.tenant import TenantStatus
from tenantry.entrypoints.cli.confirming import answer
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import NAMED
from tenantry.ports.control import ControlPlane
from tenantry.ports.keys import KeyRotation


@click.command()
@click.argument("tenant", type=NAMED)
@as_json
def key(tenant: str, json_output: bool) -> None:
    """Show the versions of a tenant's key, and the KMS key that wraps each.

    Example: `tenantry tenants key acme`
    """

    async def work(control: ControlPlane, keys: KeyRotation) -> KeyState:
        found = await control.get_tenant(tenant)
        versions, missing = await keys.versions(home_of(found)), await keys.missing(home_of(found))
        lost = f"not in the key store, and used: version {', '.join(map(str, missing))}"
        return KeyState(found, versions, 0, missing, lost if missing else None)

    state = run_with_keys(work)
    if json_output:
        print_json(_json(state))
    else:
        rows = [tuple(row.values()) for row in _versions(state)]
        print_table(("version", "KMS key", "ARN"), rows)
    if state.problem is not None:
        raise click.ClickException(state.problem)


@click.command(name="rotate-key")
@click.argument("tenant", type=NAMED, required=False)
@click.option("--all", "everyone", is_flag=True, help="Of every tenant that has a key.")
@click.option(
    "--rewrap",
    is_flag=True,
    help="Make no new version: move all to the KMS key that is now theirs.",
)
@as_json
def rotate_key(tenant: str | None, everyone: bool, rewrap: bool, json_output: bool) -> None:
    """Give a tenant a new key for all that is sealed from now on; what is sealed stays readable.

    Running workers use it once their cache of keys has run out (`key_cache_ttl_s`).

    Example: `tenantry tenants rotate-key acme`
    """
    if (tenant is None) == (not everyone):
        raise click.UsageError("name a tenant, or --all")

    def told(state: KeyState) -> None:
        if not json_output:
            say(_line(state, rewrap))
        if state.missing:
            say(_lost(state), err=True)

    states = run_with_keys(
        lambda control, keys: rotate_keys(control, keys, tenant, rewrap=rewrap, told=told)
    )
    if json_output:
        print_json([_json(state) for state in states])
    failed = sum(state.problem is not None for state in states)
    if failed:
        raise click.ClickException(f"{failed} of {len(states)} tenants' keys are as they were")


@click.command(name="adopt-key")
@click.argument("tenant", type=NAMED)
@click.option(
    "--yes", "name", type=NAMED, metavar="NAME", help="The tenant's name again, in place of asking."
)
def adopt_key(tenant: str, name: str | None) -> None:
    """Go on with the key that the key store has now, or a new one, where a tenant's key is lost.

    What the lost key sealed stays refused. Uploads, idempotency keys and end users are not known
    again: budgets of users hold for nobody any more, hard ones too, and have to be set again by
    `tenantry budgets set`. Every worker makes place for another, as after a shred; until then it
    knows users by the lost key. Where the key can be brought back, do that instead.

    Example: `tenantry tenants adopt-key acme --yes acme`
    """
    if name is None:
        which = run_with_keys(lambda control, _: control.get_tenant(tenant))
        say(
            f"Whatever the lost key of {which.name!r} sealed stays refused, and budgets of its"
            " users hold for nobody any more: set them again, by `tenantry budgets set`.",
            err=True,
        )
        name = answer("Type the tenant's name to go on", instead="--yes NAME")
    confirmed = name
    done = run_with_key_notes(
        lambda control, keys, notes: give_up_key(control, keys, notes, tenant, confirmed)
    )
    who = f"{done.tenant.id} ({done.tenant.name})"
    if done.tenant.status is TenantStatus.SHREDDED:
        say(f"{who}: its lost key is missed no more, and its shred goes on")
        return
    say(f"{who}: the key that the key store has, or a new one, is used next")
    if done.budgets:
        count = f"{done.budgets:,}"
        say(
            f"budgets of its end users that hold for nobody any more: {count}; set them again, by"
            " `tenantry budgets set`"
        )


def _line(state: KeyState, rewrap: bool) -> str:
    who = f"{state.tenant.id} ({state.tenant.name})"
    if state.problem is not None:
        return f"{who}: {state.problem}"
    if rewrap:
        return f"{who}: moved {state.moved} of {len(state.versions)} versions"
    return f"{who}: version {state.versions[-1].name.version} seals what is new"


def _lost(state: KeyState) -> str:
    which = ", ".join(map(str, state.missing))
    return (
        f"{state.tenant.id} ({state.tenant.name}): the key store does not have version {which} of"
        " its key, which was used: what that sealed is refused with 503, and without version 1 all"
        " that needs its digests. Bring it back from the backup of keys, or look whether"
        f" {variable_of('key_store_url')} names the right place; where it is lost for good:"
        f" tenantry tenants adopt-key {state.tenant.name}"
    )


def _json(state: KeyState) -> dict[str, Any]:
    return {
        "tenant": state.tenant.id,
        "name": state.tenant.name,
        "versions": _versions(state),
        "moved": state.moved,
        "missing": list(state.missing),
        "problem": state.problem,
    }


def _versions(state: KeyState) -> list[dict[str, Any]]:
    return [
        {"version": each.name.version, "kms_key": each.name.kms_key, "arn": each.arn}
        for each in state.versions
    ]
