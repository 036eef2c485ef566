"""Who runs under a key, who joins, and what is kept, with a store in memory."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.http_services import key_of
from tests.support.idempotency import MemoryIdempotency, idempotent_over

from tenantry.application import idempotency
from tenantry.application.context import Idempotency
from tenantry.application.idempotency import Answered, Idempotent, Made, Whole
from tenantry.application.recording import ANSWER_BYTES_MAX, Flow
from tenantry.domain.errors import (
    IdempotencyInFlight,
    IdempotencyMismatch,
    ResultNotKept,
    Unavailable,
)
from tenantry.domain.tenant import Principal
from tenantry.ports.idempotency import Claim

ACME, BOLT = key_of("acme").principal, key_of("bolt").principal
BIG = bytes(ANSWER_BYTES_MAX + 1)


@dataclass
class Model:
    """What runs: counts its runs, and answers when it may."""

    body: bytes = b"answer"
    status: int = 200
    spent: bool = True
    runs: int = 0
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    began: asyncio.Event = field(default_factory=asyncio.Event)

    def now(self) -> Model:
        self.may_answer.set()
        return self

    async def whole(self) -> Made:
        self.runs += 1
        self.began.set()
        await self.may_answer.wait()
        return Made(Whole(self.status, {"x-n": str(self.runs)}, self.body), self.spent)

    async def flow(self) -> Made:
        self.runs += 1
        self.began.set()
        return Made(Flow({"x-n": "s"}, self._chunks(), lambda: None), True)

    async def _chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), 3):
            if start:
                await self.may_answer.wait()
            yield self.body[start : start + 3]


def given(key: str = "k", body: bytes = b"b") -> Idempotency:
    return Idempotency(key, body.ljust(32), implied=False)


def implied(key: str = "i", body: bytes = b"b", *, resent: bool = False) -> Idempotency:
    return Idempotency(key, body.ljust(32), implied=True, resent=resent)


async def ask(
    worker: Idempotent,
    key: Idempotency,
    make: Callable[[], Awaitable[Made]],
    principal: Principal = ACME,
) -> Answered:
    return await worker.run(principal, uuid.uuid4(), key, make)


async def read(answered: Answered) -> bytes:
    if isinstance(answered.answer, Whole):
        return answered.answer.body
    return b"".join([chunk async for chunk in answered.answer.chunks])


def two_workers(store: Any = None) -> tuple[Idempotent, Idempotent]:
    store = store or MemoryIdempotency()
    return idempotent_over(store), idempotent_over(store)


@pytest.mark.parametrize("key", [given(), implied()])
@pytest.mark.parametrize("streamed", [False, True])
def test_the_answer_is_replayed_on_any_worker(key: Idempotency, streamed: bool) -> None:
    async def scene() -> None:
        one, other = two_workers()
        model = Model().now()
        make = model.flow if streamed else model.whole
        first = await ask(one, key, make)
        assert (await read(first), first.replayed) == (b"answer", False)
        for worker in (one, other):
            again = await ask(worker, key, make)
            assert isinstance(again.answer, Whole)
            assert (again.answer.body, again.answer.status) == (b"answer", 200)
            assert (again.answer.streamed, again.replayed) == (streamed, True)
            assert again.answer.headers == first.answer.headers
            assert again.request_id == first.request_id
        assert model.runs == 1

    asyncio.run(scene())


def test_a_given_key_is_refused_while_in_flight_and_with_another_body() -> None:
    async def scene() -> None:
        one, other = two_workers()
        model = Model()
        first = asyncio.create_task(ask(one, given(), model.whole))
        await model.began.wait()
        for worker in (one, other):
            with pytest.raises(IdempotencyInFlight):
                await ask(worker, given(), model.whole)
            with pytest.raises(IdempotencyMismatch):
                await ask(worker, given(body=b"c"), model.whole)
        model.now()
        await first
        for worker in (one, other):
            with pytest.raises(IdempotencyMismatch):
                await ask(worker, given(body=b"c"), model.whole)
        assert model.runs == 1

    asyncio.run(scene())


def test_an_implied_key_joins_on_any_worker_and_runs_once() -> None:
    async def scene() -> None:
        one, other = two_workers()
        model = Model()
        asked = [asyncio.create_task(ask(one, implied(), model.whole))]
        await model.began.wait()
        asked += [
            asyncio.create_task(ask(worker, implied(resent=True), model.whole))
            for worker in (one, one, other, other)
        ]
        await asyncio.sleep(idempotency.JOIN_POLL_FIRST_S * 2)
        model.now()
        answers = await asyncio.gather(*asked)
        assert {await read(answer) for answer in answers} == {b"answer"}
        assert [answer.replayed for answer in answers] == [False, True, True, True, True]
        assert len({answer.request_id for answer in answers}) == 1
        assert model.runs == 1

    asyncio.run(scene())


def test_an_implied_key_with_another_body_is_another_key() -> None:
    async def scene() -> None:
        one, _ = two_workers()
        model = Model().now()
        await ask(one, implied(), model.whole)
        await ask(one, implied(body=b"c"), model.whole)
        assert model.runs == 2

    asyncio.run(scene())


@pytest.mark.parametrize("key", [given(), implied()])
def test_tenants_and_api_keys_do_not_share_keys(key: Idempotency) -> None:
    async def scene() -> None:
        one, other = two_workers()
        model = Model().now()
        for principal in (ACME, BOLT, key_of("acme-infer").principal):
            answer = await ask(one, key, model.whole, principal)
            assert not answer.replayed
        assert (await ask(other, key, model.whole, BOLT)).answer.headers == {"x-n": "2"}
        assert model.runs == 3

    asyncio.run(scene())


@pytest.mark.parametrize("key", [given(), implied()])
def test_what_was_refused_before_it_ran_may_run(key: Idempotency) -> None:
    async def scene() -> None:
        one, other = two_workers()
        refused = Model(status=429, spent=False).now()
        assert (await ask(one, key, refused.whole)).answer.status == 429
        model = Model().now()
        assert not (await ask(other, key, model.whole)).replayed
        assert (await ask(one, key, model.whole)).replayed
        assert (refused.runs, model.runs) == (1, 1)

    asyncio.run(scene())


def test_who_waited_for_a_refused_run_runs_itself() -> None:
    async def scene() -> None:
        one, other = two_workers()
        refused, model = Model(status=429, spent=False), Model().now()
        first = asyncio.create_task(ask(one, implied(), refused.whole))
        await refused.began.wait()
        joined = [asyncio.create_task(ask(w, implied(), model.whole)) for w in (one, other, one)]
        await asyncio.sleep(0.01)
        refused.now()
        assert (await first).answer.status == 429
        answers = await asyncio.gather(*joined)
        assert [await read(answer) for answer in answers] == [b"answer"] * 3
        assert model.runs == 1

    asyncio.run(scene())


@pytest.mark.parametrize("key", [given(), implied()])
def test_the_model_s_own_error_is_kept(key: Idempotency) -> None:
    async def scene() -> None:
        one, other = two_workers()
        failed = Model(status=400).now()
        await ask(one, key, failed.whole)
        again = await ask(other, key, failed.whole)
        assert (again.answer.status, again.replayed, failed.runs) == (400, True, 1)

    asyncio.run(scene())


@pytest.mark.parametrize("key", [given(), implied()])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_too_large_reaches_its_client_and_never_runs_again(
    key: Idempotency, streamed: bool
) -> None:
    async def scene() -> None:
        one, other = two_workers()
        model = Model(body=BIG).now()
        if streamed:
            model.body = BIG[: ANSWER_BYTES_MAX // 4] + BIG
        make = model.flow if streamed else model.whole
        assert await read(await ask(one, key, make)) == model.body
        await asyncio.sleep(0)
        for worker in (one, other):
            with pytest.raises(ResultNotKept):
                await ask(worker, key, make)
        assert model.runs == 1

    asyncio.run(scene())


@pytest.mark.parametrize("key", [given(), implied(resent=True)])
def test_a_dead_worker_s_key_is_not_kept_and_never_runs_again(key: Idempotency) -> None:
    async def scene() -> None:
        store = MemoryIdempotency()
        one, other = two_workers(store)
        model = Model()
        running = asyncio.create_task(ask(one, key, model.whole))
        await model.began.wait()
        joined = asyncio.create_task(ask(other, implied(resent=True), model.whole))
        await asyncio.sleep(0)
        store.die()
        if key.implied:
            with pytest.raises(ResultNotKept):
                await joined
        with pytest.raises(ResultNotKept):
            await ask(other, key, model.whole)
        assert model.runs == 1 + (not key.implied)
        model.now()
        await running
        if not key.implied:
            await joined

    asyncio.run(scene())


def test_a_forgotten_key_is_not_kept_for_who_was_sent_before() -> None:
    async def scene() -> None:
        store = MemoryIdempotency()
        one, other = two_workers(store)
        model = Model().now()
        await ask(one, implied(), model.whole)
        store.forget()
        with pytest.raises(ResultNotKept):
            await ask(other, implied(resent=True), model.whole)
        assert model.runs == 1
        await ask(other, implied("another"), model.whole)
        assert model.runs == 2

    asyncio.run(scene())


@pytest.mark.parametrize("streamed", [False, True])
def test_the_work_ends_and_is_kept_although_its_client_has_gone(streamed: bool) -> None:
    async def scene() -> None:
        one, other = two_workers()
        model = Model()
        asked = asyncio.create_task(ask(one, implied(), model.flow if streamed else model.whole))
        await model.began.wait()
        if streamed:
            flow = (await asked).answer
            assert isinstance(flow, Flow)
            flow.leave()
        else:
            asked.cancel()
        joined = asyncio.create_task(ask(other, implied(resent=True), model.whole))
        await asyncio.sleep(0)
        model.now()
        assert await read(await joined) == b"answer"
        assert model.runs == 1

    asyncio.run(scene())


class Away(MemoryIdempotency):
    """A store that goes out of reach."""

    away = False

    async def claim(self, claim: Claim) -> Any:
        return await super().claim(self._there(claim))

    async def keep(self, claim: Claim, sealed: bytes, user_hash: str | None = None) -> None:
        await super().keep(self._there(claim), sealed, user_hash)

    def _there(self, claim: Claim) -> Claim:
        if self.away:
            raise Unavailable
        return claim


@pytest.mark.parametrize("key", [given(), implied()])
def test_without_its_store_nothing_runs(key: Idempotency) -> None:
    async def scene() -> None:
        store = Away()
        one, _ = two_workers(store)
        model = Model().now()
        store.away = True
        with pytest.raises(Unavailable):
            await ask(one, key, model.whole)
        assert model.runs == 0
        store.away = False
        await ask(one, key, model.whole)
        assert model.runs == 1

    asyncio.run(scene())


@pytest.mark.parametrize("key", [given(), implied()])
def test_an_answer_that_cannot_be_kept_is_given_once(key: Idempotency) -> None:
    async def scene() -> None:
        store = Away()
        one, other = two_workers(store)
        model = Model()
        asked = asyncio.create_task(ask(one, key, model.whole))
        await model.began.wait()
        store.away = True
        model.now()
        assert await read(await asked) == b"answer"
        store.away = False
        await asyncio.sleep(0)
        store.die()
        with pytest.raises(ResultNotKept):
            await ask(other, key, model.whole)
        assert model.runs == 1

    asyncio.run(scene())


def test_what_is_kept_is_sealed_for_its_tenant_alone() -> None:
    async def scene() -> None:
        store = MemoryIdempotency()
        one, _ = two_workers(store)
        model = Model(body=b"a tenant's secret answer").now()
        await ask(one, given("a-telling-key", b"a telling body"), model.whole)
        (row,) = store.rows()
        seen = repr((row.claim, row.sealed))
        for clear in ("secret", "telling"):
            assert clear not in seen

    asyncio.run(scene())


def test_a_bug_under_a_key_spends_it() -> None:
    async def scene() -> None:
        one, other = two_workers()

        async def bug() -> Made:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await ask(one, given(), bug)
        with pytest.raises(ResultNotKept):
            await ask(other, given(), Model().now().whole)

    asyncio.run(scene())
