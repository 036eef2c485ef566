"""A background worker that reads logs, and what the ledger then says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from tests.support.ledger import World
from tests.support.skewed import SkewedClock

from tenantry.adapters.postgres.log_readings import PostgresLogReadings
from tenantry.application.ledger_rounds import ledger_rounds
from tenantry.application.true_up import TrueUp
from tenantry.ports.invocation_log import InvocationLog
from tenantry.ports.log_reading import Waiting

HOLD = timedelta(hours=72)
DOWN = timedelta(hours=74)  # for so long nobody read
SUMS = (Decimal("0.0105"), Decimal("0.0315"))  # of a record


class Process:
    """A background worker that has just begun, so long after now."""

    def __init__(
        self, world: World, logs: Mapping[str, InvocationLog], ahead: timedelta = DOWN
    ) -> None:
        rounds = ledger_rounds(
            world.keeper, TrueUp(world.keeper, world.directory, logs), SkewedClock(ahead),
            PostgresLogReadings(world.databases.control), hold=HOLD,
            estimate_after=timedelta(minutes=15), log_poll_s=1,
        )  # fmt: skip
        self._work = {each.name: each.work for each in rounds}

    async def round(self, *names: str) -> None:
        for name in names:
            await self._work[name]()


async def endings(world: World) -> dict[str, str]:
    rows = await world.fetch("SELECT tenant_id, ending FROM cost_entry WHERE kind = 'usage'")
    names = {world.anna.tenant_id: "anna", world.bert.tenant_id: "bert"}
    return {names[row["tenant_id"]]: row["ending"] for row in rows}


async def waiting(world: World) -> list[Waiting]:
    return await PostgresLogReadings(world.databases.control).waiting()
