"""What `doctor` finds in a deployment that runs: who can be answered, and what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.paper.font_folder import FontFolderError
from tenantry.adapters.paper.typesetter import Typesetter
from tenantry.adapters.postgres.connections import Databases, LoginDsnFor
from tenantry.adapters.postgres.contracts import PostgresContracts
from tenantry.adapters.postgres.control import DEFAULT_POOL_ID
from tenantry.adapters.postgres.deliveries import PostgresDeliveries
from tenantry.adapters.postgres.embedded.place import known_place
from tenantry.adapters.postgres.errors import ClusterNotRunning
from tenantry.adapters.postgres.log_readings import PostgresLogReadings
from tenantry.adapters.postgres.vector_rooms import PostgresEngineBook
from tenantry.application.log_reading import log_facts
from tenantry.application.pages import living_tenants
from tenantry.bootstrap.billing import issuer_of
from tenantry.bootstrap.checks.capacity import room_problems
from tenantry.bootstrap.checks.vectors import rooms_fact, rooms_problems
from tenantry.bootstrap.control_key import control_key_of
from tenantry.bootstrap.database import attach
from tenantry.bootstrap.deployment import (
    control_of,
    credentials_of,
    no_deployment,
)
from tenantry.bootstrap.doctor.clocks import clock_facts
from tenantry.bootstrap.doctor.endpoints import reached
from tenantry.bootstrap.doctor.listening import unheard
from tenantry.bootstrap.doctor.objects import object_facts
from tenantry.bootstrap.doctor.overdue import overdue_problems
from tenantry.bootstrap.doctor.tenant_keys import tenant_key_problems
from tenantry.bootstrap.doctor.versions import version_problems
from tenantry.bootstrap.papers import spelt_out, texts_of
from tenantry.bootstrap.vectors import engine_problems
from tenantry.config import Settings, SettingsError, variable_of
from tenantry.domain.placement import NO_ACCOUNT, Placement
from tenantry.domain.tenant import Tenant
from tenantry.ports.delivery import LATE_AFTER, OWED_FOR_EVER

_PAGE = 100
_NAMED_MAX = 5  # tenants of one problem by name


def examine(config: Settings, *, aws: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Facts and problems, a line each; nothing is written. `aws`: Bedrock is tried too.

    Raises what `told` tells where a database should answer and does not.
    """
    try:
        dsn_for = attach(config)
    except ClusterNotRunning:
        asked = "Not looked at: the database does not run."
        if known_place(config.home) is None:
            asked = no_deployment(config)
        facts = {"tenants": asked}
        if aws:
            facts["Bedrock"] = asked
        return facts, asyncio.run(engine_problems(config, None))
    return asyncio.run(_examine(config, dsn_for, aws))


async def _examine(
    config: Settings, dsn_for: LoginDsnFor, aws: bool
) -> tuple[dict[str, Any], list[str]]:
    databases = await Databases.open(dsn_for, application="tenantry cli")
    try:
        await control_key_of(config, databases)
        desk = PostgresDeliveries(databases.control)
        counts = await desk.counts()
        late = await desk.overdue(sorted(OWED_FOR_EVER), datetime.now(UTC) - LATE_AFTER)
        older = await version_problems(databases)
        narrow = await room_problems(config, databases.control)
        clock, skewed = await clock_facts(databases, SystemClock())
        waiting = await PostgresLogReadings(databases.control).waiting()
        engines = await PostgresEngineBook(databases.control).open_engines()
        control = control_of(config, databases)
        placements = await control.list_placements()
        tenants = [tenant async for tenant in living_tenants(control)]
        models = await control.list_models()
        letters, unwritten = await _letters(config, PostgresContracts(databases.control), tenants)
        overdue = await overdue_problems(config, databases, dsn_for)
        objects, astray = await object_facts(config, databases, tenants)
        keyless = await tenant_key_problems(config, databases, tenants)
    finally:
        await databases.close()
    problems = older + narrow + skewed + _unanswered(config, placements, tenants) + keyless
    problems += await engine_problems(config, dsn_for)
    problems += rooms_problems(config, engines) + unwritten
    logs, unread = log_facts(waiting, datetime.now(UTC))
    problems += unread
    bedrock: dict[str, str] = {}
    if aws:
        bedrock, wrong = await reached(config, placements, models)
        problems += wrong
    else:
        problems += await unheard(config, _used(placements, tenants))
    if counts["dead"]:
        told = f"{counts['dead']} deliveries of notices are dead"
        problems.append(f"{told}: tenantry notices list --dead")
    if late.pending:
        told = f"{late.pending} invoices, voids or credit notes wait for more than a day for Stripe"
        problems.append(f"{told}: tenantry stripe waiting")
    problems += overdue + astray
    return {
        "tenants": _counted(tenants),
        "clock": clock,
        "vectors in clear": rooms_fact(engines),
        "deliveries": f"{counts['pending']} pending, {counts['dead']} dead",
        "invocation logs": logs,
        "letters on invoices": letters,
        "objects": objects,
        **bedrock,
    }, problems


def _counted(tenants: Sequence[Tenant]) -> str:
    placements = len({each.placement.id for each in tenants})
    return f"{len(tenants):,}, in {placements:,} placement{'' if placements == 1 else 's'}"


async def _letters(
    config: Settings, contracts: PostgresContracts, tenants: Sequence[Tenant]
) -> tuple[str, list[str]]:
    """Whose names and addresses a PDF cannot write with the fonts that there are; a problem where
    invoices are made final."""
    folder = config.invoice_fonts
    try:
        issuer = issuer_of(config)
        press = Typesetter(folder)
        ours = {"the issuer": (*texts_of(issuer.party), *issuer.payment)} if issuer else {}
        found = await asyncio.to_thread(spelt_out, press, ours)
        for at in range(0, len(tenants), _PAGE):
            page = tenants[at : at + _PAGE]
            customers = await contracts.customers([tenant.id for tenant in page])
            texts = {
                each.name: texts_of(customers[each.id]) for each in page if each.id in customers
            }
            found += await asyncio.to_thread(spelt_out, press, texts)
            if len(found) > _NAMED_MAX:
                break
    except SettingsError:
        return "not looked at", []  # told of by who reads the file
    except FontFolderError as wrong:
        return "not looked at", [f"{variable_of('invoice_fonts')} {wrong}"]
    except OSError:
        return "not looked at", []  # told of by who looks at the folder
    if not found:
        return "all can be drawn", []
    told = f"letters of {_some(found)} are spelt out on invoices, as [U+65E5]"
    if issuer is None:
        return told, []
    return told, [f"{told}: {variable_of('invoice_fonts')} names a folder of fonts that draw them"]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED_MAX]) + (", …" if len(names) > _NAMED_MAX else "")


def _used(placements: Sequence[Placement], tenants: Sequence[Tenant]) -> list[Placement]:
    """Those with tenants, and the one that tenants come into."""
    used = {tenant.placement.id for tenant in tenants} | {DEFAULT_POOL_ID}
    return [each for each in placements if each.id in used or len(placements) == 1]


def _unanswered(
    config: Settings, placements: Sequence[Placement], tenants: Sequence[Tenant]
) -> list[str]:
    """Placements with tenants, and the one that tenants come into, that nobody is answered in."""
    try:
        known = credentials_of(config)
    except SettingsError:
        return []  # told of by who reads the file
    problems = []
    for each in _used(placements, tenants):
        if each.account == NO_ACCOUNT:
            problems.append(
                f"placement {each.id} has no account yet, so nobody in it is answered:"
                " POST /admin/v1/placements says which one answers"
            )
        elif each.account not in known:
            problems.append(
                f"placement {each.id}: nobody in it is answered, for control/credentials.json has"
                f" no access key of account {each.account}"
            )
    return problems
