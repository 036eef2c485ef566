"""The walk: the stage is set, the acts are played, and then it stays up or ends."""

from __future__ import annotations

import contextlib
import secrets
import signal
import threading
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tenantry.adapters.shipped import plan_tables
from tenantry.bootstrap.commands.control import run_with_control, run_with_keeper
from tenantry.bootstrap.deployment import operator_token, settings
from tenantry.domain.ids import TenantId
from tenantry.entrypoints.api_client import Api
from tenantry.entrypoints.demo import acts, farewell, oracle
from tenantry.entrypoints.demo.cast import Player, assign, players_json, spare_key, trial
from tenantry.entrypoints.demo.ground import MARK, claim, emulator_port, keep_mark
from tenantry.entrypoints.demo.show import Failed, Show
from tenantry.entrypoints.demo.stage import emulator, gateway
from tenantry.entrypoints.signals import endings
from tenantry.ports.control import Budget, ControlPlane

TINY_BUDGET = Decimal("0.00004")  # USD of charge: two or three short answers


def run(*, check: bool) -> int:
    """Plays all acts; 0 where all held, 1 where one did not or a check was cut short."""
    show = Show()
    for number in endings():
        signal.signal(number, _interrupt)
    try:
        with contextlib.ExitStack() as stack:
            _play(show, stack, check)
    except Failed as failed:
        show.failed(str(failed))
        return 1
    except KeyboardInterrupt:
        home = settings().home
        if check or not (home / MARK).exists():  # nobody stayed to go on, or nothing was made
            show.say("stopped")
            return 1 if check else 0
        farewell.print_how_to_come_back(show, home)
    return 0


def _play(show: Show, stack: contextlib.ExitStack, check: bool) -> None:
    home = claim(settings())
    show.act("Tenantry: three tenants of one product ask Amazon Bedrock")
    show.say("starting the Bedrock emulator (no AWS account is used, nothing leaves this machine)")
    bedrock = stack.enter_context(emulator(home, emulator_port(home)))
    show.say("starting PostgreSQL and the gateway")
    ports = _free_ports() if check else ()
    front = stack.enter_context(gateway(home, ports))

    players = run_with_control(lambda control: assign(control, home, bedrock["url"]))
    walk = acts.Walk(show, front["http_url"], Api(bedrock["url"]), players)
    _keep(home, front, bedrock["url"], players)
    ids = acts.library(walk)
    acts.questions(walk)
    acts.isolation(walk, ids)
    _limits(walk)
    acts.statements(walk)
    hold = timedelta(hours=settings().unknown_hold_h)
    oracle.reconcile(show, walk.emulator, run_with_keeper, hold)
    if check:
        show.act("All promises were kept.")
        return
    farewell.print_how_to_go_on(show, home, front, players)
    threading.Event().wait()


def _limits(walk: acts.Walk) -> None:
    acts.wait_out_midnight(walk)
    name = f"trial-{secrets.token_hex(4)}"
    plan = {
        key: value
        for key, value in plan_tables()["free"].items()
        if key not in ("requests_per_minute", "tokens_per_minute")
    }
    tenant = run_with_control(lambda control: trial(control, name, plan))

    async def with_tiny_budget(control: ControlPlane) -> Player:
        player, tenant_id = await spare_key(control, tenant), TenantId(tenant.id)
        key_id = (await control.list_keys(tenant_id))[-1].id
        await control.set_budget(Budget(tenant_id, "api_key", key_id, "day", "charge", TINY_BUDGET))
        return player

    used = acts.budget(walk, run_with_control(with_tiny_budget), TINY_BUDGET)
    acts.hang_up(walk, tenant)
    acts.daily_quota(walk, tenant, used + 1)


def _keep(
    home: Path, front: Mapping[str, Any], emulator_url: str, players: Mapping[str, Player]
) -> None:
    document = {
        "http_url": front["http_url"],
        "https_url": front["https_url"],
        "admin_url": front["admin_url"],
        "ca_bundle": front["ca_bundle"],
        "operator_token": operator_token(settings()),
        "emulator_url": emulator_url,
        "tenants": players_json(players),
    }
    keep_mark(home, document)


def _free_ports() -> tuple[str, ...]:
    return ("--http-port", "0", "--https-port", "0", "--admin-port", "0")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
