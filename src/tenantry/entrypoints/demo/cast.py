"""The cast: three tenants with a plan and an account each, and a temporary fourth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tenantry.adapters import shipped
from tenantry.domain.errors import NotFound
from tenantry.domain.placement import Placement
from tenantry.domain.tenant import DEFAULT_SCOPES, Scope, Tenant
from tenantry.entrypoints.demo.ground import read_mark, unreadable_mark
from tenantry.entrypoints.demo.stage import POOL_ACCOUNT, REGIONS, SILO_ACCOUNT
from tenantry.ports.control import ControlPlane

# set of documents → (tenant's name, plan)
ROLES: Mapping[str, tuple[str, str]] = {
    "python": ("python-guild", "free"),
    "sqlite": ("sqlite-works", "pro"),
    "postgresql": ("postgres-corp", "enterprise"),
}
TRIAL_PLAN = "demo-trial"
TRIAL_REQUESTS = 100


@dataclass(frozen=True, slots=True)
class Player:
    """A tenant of the demo with its key."""

    id: str
    name: str
    plan: str
    placement: str
    key: str
    access_key_id: str
    secret_access_key: str


async def assign(control: ControlPlane, home: Path, endpoint_url: str) -> dict[str, Player]:
    """The three tenants by set of documents; keys of an earlier run are kept where known."""
    for kind, account in (("pool", POOL_ACCOUNT), ("silo", SILO_ACCOUNT)):
        await control.apply_placement(
            Placement(
                id=kind,
                kind=kind,  # type: ignore[arg-type]
                account=account,
                region=REGIONS[0],
                regions=frozenset(REGIONS),
                endpoint_url=endpoint_url,
                kms_key="own" if kind == "silo" else "shared",
                batch_s3_uri=f"s3://demo-{kind}/batches",
                batch_role_arn=f"arn:aws:iam::{account}:role/batches",
            )
        )
    await control.apply_models(shipped.emulator_models())
    await _with_emulator_prices(control)
    known = _known(home)
    return {
        role: await _player(control, name, plan, known.get(name))
        for role, (name, plan) in ROLES.items()
    }


async def trial(control: ControlPlane, name: str, plan: Mapping[str, Any]) -> Player:
    """A fresh temporary tenant on a plan of its own: 100 requests a day, no minute limits."""
    tables = {TRIAL_PLAN: {**plan, "requests_per_day": TRIAL_REQUESTS}}
    await control.apply_plans(tables)
    tenant = await control.create_tenant(name, plan=TRIAL_PLAN)
    return await _with_key(control, tenant)


async def spare_key(control: ControlPlane, player: Player) -> Player:
    """The same tenant through another API key."""
    return await _with_key(control, await control.get_tenant(player.id))


async def _with_emulator_prices(control: ControlPlane) -> None:
    """Bedrock's prices and those that the emulator's own models have, as one edition."""
    now, own = await control.current_prices(), shipped.emulator_prices()
    if not own.models.keys() <= now.models.keys():
        await control.import_prices(
            replace(now, models={**now.models, **own.models}, source=f"{now.source} + emulator")
        )


def players_json(players: Mapping[str, Player]) -> list[dict[str, str]]:
    return [asdict(player) for player in players.values()]


def _known(home: Path) -> dict[str, Player]:
    try:
        return {row["name"]: Player(**row) for row in read_mark(home)["tenants"]}
    except (KeyError, TypeError):
        raise unreadable_mark(home, "its tenants are none") from None


async def _player(control: ControlPlane, name: str, plan: str, known: Player | None) -> Player:
    try:
        tenant = await control.get_tenant(name)
    except NotFound:
        placement = "silo" if plan == "enterprise" else "pool"
        tenant = await control.create_tenant(name, plan=plan, placement=placement)
        known = None
    if known is not None and known.id == tenant.id:
        return known
    return await _with_key(control, tenant)


async def _with_key(control: ControlPlane, tenant: Tenant) -> Player:
    key = await control.create_key(tenant.id, name="demo", scopes=DEFAULT_SCOPES | {Scope.ADMIN})
    return Player(
        id=tenant.id,
        name=tenant.name,
        plan=tenant.plan.name,
        placement=tenant.placement.kind,
        key=key.bearer,
        access_key_id=key.access_key_id,
        secret_access_key=key.secret_access_key,
    )
