"""One seed from its beginning to the auditor's verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
from tests.support.billing import home_of
from tests.support.ledger import HOLD
from tests.support.postgres import Database
from tests.support.simulated.auditor import audit, read_ledger
from tests.support.simulated.facts import Facts
from tests.support.simulated.invoices import Invoiced, audit_invoices, invoice_all
from tests.support.simulated.scenario import Scenario
from tests.support.simulated.stage import Stage
from tests.support.simulated.theatre import Theatre

from tenantry.adapters.postgres.connections import Databases


@dataclass(frozen=True)
class Verdict:
    facts: Facts
    differences: list[str]
    violations: list[Any]


def play(
    theatre: Theatre,
    database: Database,
    scenario: Scenario,
    after: Callable[[Facts, Any], Awaitable[None]] | None = None,
    invoiced: Callable[[Facts, Invoiced, Any], Awaitable[None]] | None = None,
) -> Verdict:
    """Plays a scenario and judges it. `after` and, once there are invoices, `invoiced` get a
    superuser's connection to do harm with."""

    async def run() -> Verdict:
        databases = await Databases.open(database.dsn, application="tenantry simulation")
        try:
            stage = Stage(theatre, database, databases, scenario)
            await stage.play()
            connection = await asyncpg.connect(database.dsn("superuser"))
            try:
                differences = audit(stage.facts, await read_ledger(connection))
                violations = await stage.keeper.violations(HOLD)
                if after is not None:
                    await after(stage.facts, connection)
                made = await invoice_all(databases, stage.facts, connection, home_of(database))
                differences += await audit_invoices(stage.facts, made, connection)
                violations += await stage.keeper.violations(HOLD)
                if invoiced is not None:
                    await invoiced(stage.facts, made, connection)
            finally:
                await connection.close()
            return Verdict(stage.facts, differences, violations)
        finally:
            databases.terminate()

    try:
        return asyncio.run(run())
    finally:
        theatre.sweep()
