"""`tenantry serve`: PostgreSQL where it is ours, gateway workers, the background worker."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import os
from typing import TYPE_CHECKING, Any

import click

from tenantry.bootstrap.checks.capacity import workers_problems
from tenantry.bootstrap.control_files import control_problems, open_secrets
from tenantry.bootstrap.database import database, warn_of_room
from tenantry.bootstrap.deployment import env_told, make_operator_token, round_marks, settings
from tenantry.bootstrap.holders import HostWatch
from tenantry.bootstrap.logs import log_events
from tenantry.bootstrap.shared_costs import shared_costs_of
from tenantry.config import Settings, SettingsError
from tenantry.entrypoints.cli.background_process import BackgroundProcess
from tenantry.entrypoints.cli.output import say
from tenantry.entrypoints.http.metrics import Counters
from tenantry.entrypoints.http.open_files import (
    Shares,
    allow_files,
    scarce,
    shares_of,
    too_few,
    wanted,
)
from tenantry.entrypoints.http.serving import ServeSettings
from tenantry.entrypoints.http.supervisor import (
    WORKERS_MAX,
    Addresses,
    StartFailed,
    check_ports,
    run,
)
from tenantry.entrypoints.loading import loading

if TYPE_CHECKING:
    from tenantry.entrypoints.http.services import Services

_PORT = click.IntRange(0, 65_535)
_log = logging.getLogger(__name__)


@click.command()
@click.option("--http-port", type=_PORT, help="Data plane; 0: any free port.")
@click.option("--https-port", type=_PORT, help="Data plane over TLS; 0: any free port.")
@click.option("--admin-port", type=_PORT, help="Admin API and metrics; 0: any free port.")
@click.option("--workers", type=click.IntRange(1, WORKERS_MAX), help="Gateway processes.")
@click.option("--exit-with-parent", is_flag=True, help="End when the parent process ends.")
@click.option("--parent", type=int, hidden=True, help="Whose end, where it is known already.")
@click.option("--ready-json", is_flag=True, help="Print the addresses as one JSON line.")
def serve(
    exit_with_parent: bool, parent: int | None, ready_json: bool, **given: int | None
) -> None:
    """Serve tenants until SIGTERM, SIGHUP or Ctrl-C.

    Example: `tenantry serve --http-port 8080 --workers 2`
    """
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    config = dataclasses.replace(settings(), **overrides)
    if parent is None and exit_with_parent:
        parent = os.getppid()

    log_events(env_told(config))
    if too_many := workers_problems(config):
        raise click.ClickException(too_many[0])
    shared_costs_of(config)  # told now, not by a worker that keeps ending
    _check_control_files(config)
    check_ports(_serve_settings(config))  # as the rest: before a database is made or started
    shares = _shares(config)
    config = dataclasses.replace(
        config,
        upstream_connections_max=min(config.upstream_connections_max, shares.requests),
        upstream_connections_total_max=min(config.upstream_connections_total_max, shares.requests),
    )

    def ready(addresses: Addresses) -> None:
        _announce(addresses, ready_json)

    make_operator_token(config)
    os.putenv("PYTHONSAFEPATH", "1")  # workers import nothing from the folder we are started in
    with (
        database(config) as running,
        HostWatch(running.dsn_for) as host,
        BackgroundProcess(round_marks(config).read),
    ):
        warn_of_room(config, running)

        def must_stop() -> bool:
            orphaned = parent is not None and os.getppid() != parent
            return orphaned or running.failure() is not None

        make = functools.partial(_make_services, config)
        try:
            where = _within(shares, _serve_settings(config))
            run(where, make, on_ready=ready, stop=must_stop, rolls=host.rolls)
        except StartFailed as failed:
            raise click.ClickException(str(failed)) from None
        if (reason := running.failure()) is not None:
            said = reason.strip().splitlines()[-1:] or ["nothing"]
            raise click.ClickException(f"PostgreSQL kept ending and was given up: {said[0]}")


async def _make_services(config: Settings, counters: Counters) -> Services:
    """In a worker's own process, which alone loads what a gateway needs."""
    with loading():
        from tenantry.entrypoints.http.assemble import make_services

    log_events(env_told(config))
    return await make_services(config, counters)


def _check_control_files(config: Settings) -> None:
    """Refuses what no worker could serve with, and warns of secrets that others may read."""
    if problems := control_problems(config):
        raise SettingsError("\n".join(problems))
    for line in open_secrets(config):
        _log.warning(line)


def _shares(config: Settings) -> Shares:
    """What each worker may have open; refuses what none could serve with."""
    most = wanted(config.upstream_connections_total_max)
    files = allow_files(most)
    if (told := too_few(files)) is not None:
        raise click.ClickException(told)
    if (told := scarce(files, most)) is not None:
        _log.warning(told)
    return shares_of(files, most)


def _serve_settings(config: Settings) -> ServeSettings:
    return ServeSettings(
        home=config.home,
        host=config.http_host,
        http_port=config.http_port,
        https_port=config.https_port,
        admin_host=config.admin_host,
        admin_port=config.admin_port,
        workers=config.workers,
        tls_names=tuple(config.tls_names.split()),
        drain_s=config.shutdown_grace_ms / 1_000,
    )


def _within(shares: Shares, where: ServeSettings) -> ServeSettings:
    limits = dataclasses.replace(
        where.limits,
        connections=shares.clients,
        requests=min(where.limits.requests, shares.requests),
    )
    return dataclasses.replace(where, limits=limits, admin_connections=shares.admin)


def _announce(addresses: Addresses, ready_json: bool) -> None:
    if ready_json:
        line = {
            "http_url": addresses.http_url,
            "https_url": addresses.https_url,
            "admin_url": addresses.admin_url,
            "ca_bundle": str(addresses.ca_bundle),
        }
        say(json.dumps(line))
        return
    say(f"data plane   {addresses.http_url}  {addresses.https_url}")
    say(f"admin port   {addresses.admin_url}")
    say(f"CA bundle    {addresses.ca_bundle}")
