"""An invoice that needs an hour which is being rolled up anew waits for the next round."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from tests.support.invoiced_past import Past, in_past
from tests.support.postgres import Database

from tenantry.adapters.postgres import connections
from tenantry.domain.errors import Busy


@asynccontextmanager
async def being_rolled_up(past: Past) -> AsyncIterator[None]:
    """What was kept of an hour is held by a step that mends it again."""
    connection = await asyncpg.connect(past.world.database.dsn("superuser"))
    try:
        step = connection.transaction()
        await step.start()
        await connection.execute("UPDATE tenantry.mended_hour SET mended_at = clock_timestamp()")
        yield
        await step.rollback()
    finally:
        await connection.close()


def test_an_invoice_waits_for_a_roll_up_and_is_in_no_trouble(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LOCK_TIMEOUT_MS", 200)

    async def body(past: Past) -> None:
        anna = past.world.anna
        for who in past.people:
            await past.finalise(who, past.before)
        await past.missed(anna)
        await past.looked_through()
        async with being_rolled_up(past):
            tally = await past.house.run()
            assert (tally.final, tally.trouble, tally.waiting) == (1, 0, 1)
            with pytest.raises(Busy, match="Usage of this tenant is being rolled up"):
                await past.finalise(anna, past.after)
        book = past.house.billing.book
        assert await book.runs(None, "trouble", 10) == []
        # An hour has to go by after a trouble; after this nothing has to.
        tally = await past.house.run(again_s=3_600)
        assert (tally.final, tally.trouble, tally.waiting) == (1, 0, 0)
        totals = [
            [str(each["total"]) for each in await book.documents(who.tenant_id)]
            for who in past.people
        ]
        assert totals == [["33.30", "31.50"], ["31.50", "31.50"]]
        assert await past.mended() == []

    in_past(database, body)
