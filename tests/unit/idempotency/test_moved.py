"""A kept answer that was moved to another key by who can write the store: it opens nowhere else."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest
from tests.support.http_services import key_of
from tests.support.idempotency import MemoryIdempotency, Row, idempotent_over

from tenantry.application.context import Idempotency
from tenantry.application.idempotency import Idempotent, Made, Whole
from tenantry.domain.errors import Corrupt
from tenantry.domain.ids import ApiKeyId
from tenantry.domain.tenant import Principal

ACME = key_of("acme").principal
OTHER_KEY = replace(ACME, api_key_id=ApiKeyId("key_other"))
BODY = b"b".ljust(32)


async def answer() -> Made:
    return Made(Whole(200, {}, b"an answer"), spent=True)


async def ask(worker: Idempotent, key: str, who: Principal = ACME) -> bytes:
    done = await worker.run(who, uuid.uuid4(), Idempotency(key, BODY, implied=False), answer)
    assert isinstance(done.answer, Whole)
    return done.answer.body


def moved(source: Row, target: Row) -> None:
    """All that the database holds of the answer: its ciphertext, and the request that made it."""
    target.sealed = source.sealed
    target.claim = replace(target.claim, request_id=source.claim.request_id)


@pytest.mark.parametrize(
    ("key", "who"), [("other", ACME), ("key", OTHER_KEY)], ids=["idempotency key", "API key"]
)
def test_an_answer_of_another_key_is_not_given_out(key: str, who: Principal) -> None:
    async def scene() -> None:
        store = MemoryIdempotency()
        worker = idempotent_over(store)
        await ask(worker, "key")
        await ask(worker, key, who)
        assert await ask(worker, key, who) == b"an answer"
        moved(*store.rows())
        with pytest.raises(Corrupt):
            await ask(worker, key, who)

    asyncio.run(scene())


def test_an_answer_of_an_earlier_request_is_not_given_out() -> None:
    async def scene() -> None:
        store = MemoryIdempotency()
        worker = idempotent_over(store)
        await ask(worker, "key")
        (row,) = store.rows()
        row.claim = replace(row.claim, request_id=uuid.uuid4())
        with pytest.raises(Corrupt):
            await ask(worker, "key")

    asyncio.run(scene())
