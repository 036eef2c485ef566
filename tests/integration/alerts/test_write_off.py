"""A write-off is a notice of the platform, in the transaction that writes off."""

import json
from datetime import UTC, datetime, timedelta

from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.ports.admission import AttemptOutcome

LOST = AttemptOutcome(call=0, attempt=1, end="unknown", charged=False)


def test_what_is_written_off_is_told_once_and_by_tenant(database: Database) -> None:
    async def body(world: World) -> None:
        for who in (world.anna, world.anna, world.bert):
            await world.settle(await world.admitted(who), LOST)
        later = datetime.now(UTC) + timedelta(hours=1)
        assert await world.keeper.give_up(later) == 3
        assert await world.keeper.give_up(later) == 0
        (notice,) = await world.fetch("SELECT tenant_id, kind, body FROM notice")
        assert (notice["tenant_id"], notice["kind"]) == ("", "platform.written_off")
        assert json.loads(notice["body"]) == {
            "attempts": 3,
            "tenants": {world.anna.tenant_id: 2, world.bert.tenant_id: 1},
            "summary": "3 attempts were written off: by an operator's word",
        }

    in_world(database, body)
