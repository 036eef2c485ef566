"""The database: started where it is ours, migrated, seeded, or attached to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tenantry.adapters import shipped
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.connections import (
    Databases,
    LoginDsnFor,
    derived_dsns,
    open_control_pool,
)
from tenantry.adapters.postgres.control import DEFAULT_POOL_ID
from tenantry.adapters.postgres.control_key import known_before
from tenantry.adapters.postgres.embedded import EmbeddedCluster
from tenantry.adapters.postgres.embedded.place import known_place
from tenantry.adapters.postgres.errors import ClusterNotRunning, StillServing
from tenantry.adapters.postgres.key_holders import this_host
from tenantry.adapters.postgres.migrate import (
    check_schema,
    has_schema,
    load_migrations,
    migrate,
)
from tenantry.adapters.postgres.one_primary import note_primary
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.adapters.postgres.roles import (
    LOGIN_ROLES,
    acting_as,
    bootstrap_roles,
    check_passwords,
    derive_password,
    mark_of,
    secret_mark,
)
from tenantry.adapters.postgres.serving import by_host, serving
from tenantry.bootstrap.checks.capacity import room_problems
from tenantry.bootstrap.control_key import check_control_key, settle_control_key
from tenantry.bootstrap.deployment import (
    control_of,
    make_accounts,
    make_secret,
    no_deployment,
    secret_of,
)
from tenantry.bootstrap.vector_schema import prepare_vectors
from tenantry.config import Settings
from tenantry.domain.errors import NotFound
from tenantry.domain.placement import NO_ACCOUNT, Placement

_log = logging.getLogger(__name__)

FRESH_POOL = Placement(
    id=DEFAULT_POOL_ID,
    kind="pool",
    account=NO_ACCOUNT,
    region="us-east-1",
    regions=frozenset({"us-east-1"}),
)


@dataclass(frozen=True, slots=True)
class RunningDatabase:
    """How to reach it, and why it ended for good (an embedded one that kept dying), else None.
    `applied`: the migrations that it lacked."""

    dsn_for: LoginDsnFor
    failure: Callable[[], str | None]
    applied: Sequence[int]


@contextlib.contextmanager
def database(
    config: Settings,
    *,
    new_passwords: bool = False,
    new_control_key: bool = False,
    while_serving: bool = False,
    upgrade: bool = True,
) -> Iterator[RunningDatabase]:
    """The database for as long as the block runs: started where it is ours, migrated, seeded.

    `new_passwords`: on a server of the operator's own, whoever used the roles is locked out.
    `new_control_key`: this home's `control/key` holds from now on, made where there is none.
    `while_serving`: although processes of an older version go on with the schema; else a server of
    the operator's own is refused with `StillServing` then.
    `upgrade`: else an embedded one that an older version made is refused with `MigrationsMissing`.
    """
    make_accounts(config)
    cluster = None
    if config.database_url is None:
        cluster = EmbeddedCluster(config.home, bin_dir=config.postgres_bin)
        cluster.start(upgrade=upgrade)
    try:
        try:
            applied = asyncio.run(
                _migrate(config, cluster, new_passwords, new_control_key, while_serving)
            )
            asyncio.run(prepare_vectors(config, cluster))
            dsn_for = _dsn_for(config, cluster)
            asyncio.run(_seed(config, dsn_for, new_control_key))
        except Exception as failure:
            if cluster is not None:
                cluster.note(failure)
            raise
        yield RunningDatabase(
            dsn_for, lambda: cluster.failure() if cluster is not None else None, applied
        )
    finally:
        if cluster is not None:
            cluster.stop()


def warn_of_room(config: Settings, running: RunningDatabase) -> None:
    """A line in the log for each limit of an operator's own server that `serve` can meet."""
    if config.database_url is None:
        return

    async def ask() -> list[str]:
        pool = await open_control_pool(running.dsn_for, "tenantry serve")
        try:
            return await room_problems(config, pool)
        finally:
            pool.terminate()

    for line in asyncio.run(ask()):
        _log.warning("%s", line)


def attach(config: Settings) -> LoginDsnFor:
    """The database that another process of this home runs; nothing is written.

    Raises `ClusterNotRunning`; `SettingsError` for a home that reaches no server of ours.
    """
    cluster = None
    if config.database_url is None:
        cluster = EmbeddedCluster(config.home, bin_dir=config.postgres_bin)
        cluster.attach()
    return _dsn_for(config, cluster)


@contextlib.contextmanager
def attached_or_started(config: Settings) -> Iterator[LoginDsnFor]:
    """The running database, or one of our own for a single command.

    Raises as `attach` does where the home has none: a mistyped home is no empty deployment. One
    that an older version made is refused: there is no way down, so a person asks for it.
    """
    try:
        running = attach(config)
    except ClusterNotRunning:
        if known_place(config.home) is None:
            raise ClusterNotRunning(no_deployment(config)) from None
        with database(config, upgrade=False) as started:
            yield started.dsn_for
    else:
        yield running


def _dsn_for(config: Settings, cluster: EmbeddedCluster | None) -> LoginDsnFor:
    if cluster is not None:
        return cluster.dsn
    assert config.database_url is not None
    note_primary(config.database_url, config.home / "control", DurableFiles())
    return derived_dsns(config.database_url, secret_of(config, "database-secret"))


async def _migrate(
    config: Settings,
    cluster: EmbeddedCluster | None,
    new_passwords: bool,
    new_control_key: bool,
    while_serving: bool,
) -> list[int]:
    """The schema up to date, by the migrations that are returned; on a server of the operator's own
    the roles first.

    What is refused of that server is refused before its roles are changed.
    """
    if cluster is not None:
        return await migrate(cluster.dsn("migrator"))
    assert config.database_url is not None
    secret = make_secret(config, "database-secret")
    note_primary(config.database_url, config.home / "control", DurableFiles(), may_change=True)
    passwords = {role: derive_password(secret, role) for role in LOGIN_ROLES}
    url = config.database_url

    def login_dsn_for(secret: bytes) -> str:
        return derived_dsns(url, secret)("migrator")

    login_dsn = login_dsn_for(secret)

    async def check(connection: Any) -> None:
        if await has_schema(connection):
            async with acting_as(connection, "tenantry_owner"):
                migrations = load_migrations()
                if await check_schema(connection, migrations) < len(migrations):
                    await _check_none_serves(connection, while_serving)
            async with acting_as(connection, "tenantry_control"):
                known = await known_before(connection)
            check_control_key(config, known, anew=new_control_key)

    with outages_are_unavailable():
        if new_passwords:
            there = await mark_of(url)
        else:
            there = await check_passwords(url, secret, login_dsn_for)
        await bootstrap_roles(
            url, passwords, mark=secret_mark(secret), instead_of=there, check=check
        )
        return await migrate(login_dsn)


async def _check_none_serves(connection: Any, while_serving: bool) -> None:
    """Raises `StillServing`, unless it is wanted so."""
    found = await serving(connection, this_host())
    if found and not while_serving:
        raise StillServing(
            "The schema lacks migrations, and processes of the version before still serve over it:"
            f" {by_host(found)}. Stop them first; `tenantry migrate --while-serving` leaves them"
            " with a schema that they do not know"
        )


async def _seed(config: Settings, dsn_for: LoginDsnFor, new_control_key: bool) -> None:
    """The control plane's key, plans, models, prices and a pool placement, where there are none."""
    databases = await Databases.open(dsn_for)
    try:
        await settle_control_key(config, databases, anew=new_control_key)
        control = control_of(config, databases)
        if not await control.list_models():
            await control.apply_models(shipped.bedrock_models())
        if not await control.list_plans():
            await control.apply_plans(shipped.plan_tables())
        try:
            await control.current_prices()
        except NotFound:
            await control.import_prices(shipped.bedrock_prices())
        if not await control.list_placements():
            await control.apply_placement(FRESH_POOL)
    finally:
        await databases.close()
