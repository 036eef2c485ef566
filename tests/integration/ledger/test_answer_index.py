"""The index of answers in the database: a tenant's own alone, bounded, and gone in time."""

import asyncpg
import pytest
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.postgres.answers import PostgresAnswerIndex, PostgresExpiredAnswers
from tenantry.domain.document import Home
from tenantry.ports.answer_cache import StoredAnswer

NAME, OTHER = b"n" * 32, b"o" * 32


def test_an_entry_is_its_tenants_and_its_times(database: Database) -> None:
    async def body(world: World) -> None:
        index = PostgresAnswerIndex(world.work)
        anna, bert = world.anna.tenant_id, world.bert.tenant_id
        answer = StoredAnswer(Home(anna, "111111111111"), NAME, "object-1")
        assert await index.keep(answer, 60, 10)
        assert await index.find(anna, NAME) == "object-1"
        assert await index.find(bert, NAME) is None
        assert not await index.keep(StoredAnswer(answer.home, NAME, "object-2"), 60, 10)
        assert not await index.keep(StoredAnswer(answer.home, OTHER, "object-3"), 60, 1)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with world.work.writing(bert) as unit:
                await unit.execute(
                    "INSERT INTO answer SELECT $1, name_hmac, 'x', 'x', now() FROM answer"
                    " UNION ALL SELECT $1, $2, 'x', 'x', now()",
                    anna,
                    OTHER,
                )
        async with world.work.reading(bert) as unit:
            assert await unit.fetch("SELECT * FROM answer") == []

        expired = PostgresExpiredAnswers(world.databases.control)
        assert await expired.expired(10) == []
        await expired.forget(answer)  # not yet
        assert await index.find(anna, NAME) == "object-1"
        await world.as_superuser("UPDATE tenantry.answer SET expires_at = now() - interval '1 s'")
        assert await index.find(anna, NAME) is None
        assert await expired.expired(10) == [answer]
        await expired.forget(answer)
        assert await expired.expired(10) == []
        assert await index.keep(answer, 60, 1)

    in_world(database, body)
