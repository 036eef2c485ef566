"""A roll-up that is mended while a period ends, and commits after its invoice: what it was mended
by is on the next one, whatever the clock said when it began."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.support.billing import months_ago
from tests.support.invoiced_past import LATE, MISSED, Past, adjusted, in_past
from tests.support.postgres import Database

from tenantry.ports.billing import Finalised


async def while_one_mends(
    past: Past, meanwhile: Callable[[], Awaitable[Sequence[Finalised]]]
) -> Sequence[Finalised]:
    """Once, when the roll-ups have kept what they mend, and are not committed."""
    rollups: Any = past.rollups
    forget, kept, go_on = rollups._forget, asyncio.Event(), asyncio.Event()

    async def after(*values: Any) -> Any:
        rollups._forget = forget
        kept.set()
        await go_on.wait()
        return await forget(*values)

    rollups._forget = after
    mending = asyncio.create_task(past.looked_through())
    await kept.wait()
    made = await meanwhile()
    go_on.set()
    await mending
    return made


@pytest.mark.parametrize("before_its_end", [timedelta(seconds=1), timedelta(hours=20)])
def test_what_is_mended_as_a_period_ends_is_on_the_next_invoice(
    database: Database, before_its_end: timedelta
) -> None:
    async def body(past: Past) -> None:
        anna = past.world.anna
        await past.missed(anna)

        async def the_period_ends() -> Sequence[Finalised]:
            return [await past.finalise(who, past.before) for who in past.people]

        begun_at = past.before.end - before_its_end
        async with past.clock_of("waits_for_invoice", begun_at):
            first = await while_one_mends(past, the_period_ends)
        assert [made.document["total"] for made in first] == ["31.50", "31.50"]
        second = [await past.finalise(who, past.after) for who in past.people]
        assert [adjusted(made) for made in second] == [LATE, 0]
        for who, *made in zip(past.people, first, second, strict=True):
            assert await past.same(who, *made)
        assert await past.mended() == []
        assert await past.world.violations() == []

    in_past(database, body)


def test_what_is_mended_of_a_period_behind_another_is_on_the_invoice_after_both(
    database: Database,
) -> None:
    """Two periods wait, and both are invoiced meanwhile."""

    async def body(past: Past) -> None:
        anna, bert = past.people
        await past.house.used(anna, MISSED, months_ago(1) + timedelta(hours=3))

        async def both_are_made() -> Sequence[Finalised]:
            spans = (past.before, past.after)
            return [await past.finalise(who, span) for who in past.people for span in spans]

        made = await while_one_mends(past, both_are_made)
        assert [each.document["total"] for each in made] == ["31.50"] * 4
        assert [await past.late_in_draft(who) for who in past.people] == [LATE, 0]
        assert await past.same(anna, *made[:2]) and await past.same(bert, *made[2:])
        assert await past.world.violations() == []

    in_past(database, body)
