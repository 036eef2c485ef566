"""Signed webhooks over a real wire: signatures by the library, limits, addresses, TLS."""

import json
import ssl
from collections.abc import Sequence
from typing import Any

import pytest
import trustme
from standardwebhooks import Webhook, WebhookVerificationError
from tests.support.ledger import World, in_world, opened, sealed
from tests.support.outbox import (
    OTHER_SECRET,
    SECRET,
    StillClock,
    deliverer,
    enqueue,
    outside,
    receiving,
    run_rounds,
    states,
)
from tests.support.postgres import Database
from tests.support.wire_server import Exchange

from tenantry.adapters.postgres.endpoints import PostgresEndpoints
from tenantry.adapters.webhook import sending
from tenantry.adapters.webhook.lookups import Resolve, system_addresses
from tenantry.adapters.webhook.sinks import OperatorWebhook, TenantEndpoints
from tenantry.application.delivery import EVERYTHING
from tenantry.domain.errors import BadRequest, NotFound
from tenantry.ports.delivery import Route
from tenantry.ports.endpoints import ENDPOINTS_MAX

ALL = Route("webhook", EVERYTHING)
NAME = "hooks.example.test"  # resolves nowhere; a test says to what


def test_a_receiver_verifies_what_it_gets_with_either_secret(database: Database) -> None:
    async def body(world: World) -> None:
        clock = StillClock()
        async with receiving() as receiver:
            webhook = OperatorWebhook(receiver.url, [SECRET, OTHER_SECRET], clock)
            worker = deliverer(world, outside(ALL, webhook=webhook), clock)
            told = {"threshold": 80, "budget": "25.00", "name": "Žofie"}
            await enqueue(world, "budget.threshold", told, tenant_id=world.anna.tenant_id)
            await run_rounds(worker)
            [post] = receiver.posts
            for secret in (SECRET, OTHER_SECRET):
                message = Webhook(secret).verify(post.body, post.headers)
            [(created_at,)] = await world.fetch("SELECT created_at FROM notice")
            assert message == {
                "type": "budget.threshold",
                "timestamp": created_at.isoformat().replace("+00:00", "Z"),
                "data": {**told, "tenant_id": world.anna.tenant_id},
            }
            wrong = Webhook("whsec_" + "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmc=")
            for data, verifier in ((post.body, wrong), (post.body + b" ", Webhook(SECRET))):
                with pytest.raises(WebhookVerificationError):
                    verifier.verify(data, post.headers)
            await webhook.close()

    in_world(database, body)


def test_what_is_no_2xx_comes_again_and_410_does_not(database: Database) -> None:
    async def body(world: World) -> None:
        clock = StillClock()
        async with receiving() as receiver:
            webhook = OperatorWebhook(receiver.url, [SECRET], clock)
            worker = deliverer(world, outside(ALL, webhook=webhook), clock)
            receiver.statuses = [500, 404, 302, 429, 200]
            await enqueue(world)
            for answer in ("500", "404", "302", "429"):
                await run_rounds(worker)
                assert (await states(world))[0][1:] == (
                    "pending",
                    len(receiver.posts),
                    f"the receiver answered {answer}",
                )
                clock.pass_by(hours=1)
            await run_rounds(worker)
            assert (await states(world))[0][1] == "delivered"
            assert len(set(receiver.ids())) == 1
            assert len(receiver.posts) == 5, "a redirect is not followed"
            receiver.statuses = [410]
            await enqueue(world)
            await run_rounds(worker, 2)
            assert sorted(each[1] for each in await states(world)) == ["dead", "delivered"]
            assert len(receiver.posts) == 6
            await webhook.close()

    in_world(database, body)


def test_an_endless_answer_is_not_read_and_a_cut_one_comes_again(database: Database) -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.begin({}, 200)
        await exchange.peer_left()

    async def cut(exchange: Exchange) -> None:
        exchange.cut()

    async def body(world: World) -> None:
        clock = StillClock()
        async with receiving() as receiver:
            webhook = OperatorWebhook(receiver.url, [SECRET], clock)
            worker = deliverer(world, outside(ALL, webhook=webhook), clock)
            receiver.answer = endless
            await enqueue(world)
            await run_rounds(worker)
            assert (await states(world))[0][1] == "delivered"
            receiver.answer = cut
            await enqueue(world)
            await run_rounds(worker)
            assert sorted(each[1] for each in await states(world)) == ["delivered", "pending"]
            await webhook.close()

    in_world(database, body)


def test_a_receiver_that_does_not_answer_is_left(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TOTAL_TIMEOUT_S", 0.2)

    async def silent(exchange: Exchange) -> None:
        await exchange.peer_left()

    async def body(world: World) -> None:
        clock = StillClock()
        async with receiving() as receiver:
            receiver.answer = silent
            webhook = OperatorWebhook(receiver.url, [SECRET], clock)
            worker = deliverer(world, outside(ALL, webhook=webhook), clock)
            await enqueue(world)
            await run_rounds(worker)
            error = "the receiver did not answer in time"
            assert await states(world) == [("webhook", "pending", 1, error)]
            await webhook.close()

    in_world(database, body)


def test_an_untrusted_certificate_gets_nothing(database: Database) -> None:
    async def body(world: World) -> None:
        clock, authority = StillClock(), trustme.CA()
        async with receiving(_served(authority, "127.0.0.1")) as receiver:
            for ca_pem, state in ((None, "pending"), (authority.cert_pem.bytes(), "delivered")):
                webhook = OperatorWebhook(receiver.url, [SECRET], clock, ca_pem=ca_pem)
                await enqueue(world)
                await run_rounds(deliverer(world, outside(ALL, webhook=webhook), clock))
                assert state in {each[1] for each in await states(world)}
                assert len(receiver.posts) == (ca_pem is not None)
                await webhook.close()

    in_world(database, body)


def test_a_tenant_hears_of_its_own_and_never_of_the_providers_cost(database: Database) -> None:
    async def body(world: World) -> None:
        clock, authority = StillClock(), trustme.CA()
        endpoints = endpoints_of(world, clock)
        async with receiving(_served(authority, NAME)) as receiver:
            url = receiver.url.replace("127.0.0.1", NAME)
            anna = await endpoints.add(world.anna.tenant_id, url)
            bert = await endpoints.add(world.bert.tenant_id, url)
            sink = TenantEndpoints(
                endpoints,
                clock,
                ca_pem=authority.cert_pem.bytes(),
                resolve=to("127.0.0.1"),
                allowed=lambda _: True,
            )
            worker = deliverer(world, outside(endpoint=sink), clock)
            charge, cost = {"basis": "charge"}, {"basis": "cost", "spent": "1.23"}
            await enqueue(world, "budget.threshold", charge, tenant_id=world.anna.tenant_id)
            await enqueue(world, "budget.threshold", cost, tenant_id=world.anna.tenant_id)
            await enqueue(world, "usage.spike", tenant_id=world.anna.tenant_id)
            await enqueue(world, "budget.threshold", charge)
            await run_rounds(worker)
            [post] = receiver.posts
            assert Webhook(anna.secrets[0]).verify(post.body, post.headers)["data"] == {
                **charge,
                "tenant_id": world.anna.tenant_id,
            }
            with pytest.raises(WebhookVerificationError):
                Webhook(bert.secrets[0]).verify(post.body, post.headers)
            turned = await endpoints.rotate(world.anna.tenant_id, anna.id)
            assert turned.secrets[1:] == anna.secrets
            await enqueue(world, "job.finished", tenant_id=world.anna.tenant_id)
            await run_rounds(worker)
            for secret in turned.secrets:
                Webhook(secret).verify(receiver.posts[1].body, receiver.posts[1].headers)
            await endpoints.forget_previous(world.anna.tenant_id, anna.id)
            receiver.statuses = [410]
            await enqueue(world, "job.finished", tenant_id=world.anna.tenant_id)
            await run_rounds(worker)
            with pytest.raises(WebhookVerificationError):
                Webhook(anna.secrets[0]).verify(receiver.posts[2].body, receiver.posts[2].headers)
            gone = await endpoints.get(world.anna.tenant_id, anna.id)
            assert gone is not None
            assert gone.disabled_reason == "the receiver answered 410: gone"
            await enqueue(world, "job.finished", tenant_id=world.anna.tenant_id)
            await run_rounds(worker)
            assert len(receiver.posts) == 3

    in_world(database, body)


@pytest.mark.parametrize(
    "found",
    [["127.0.0.1"], ["169.254.169.254"], ["93.184.215.14", "10.0.0.1"], ["::1"], []],
    ids=str,
)
def test_a_tenants_name_may_lead_to_nobodys_own_network(
    database: Database, found: list[str]
) -> None:
    async def body(world: World) -> None:
        clock, authority = StillClock(), trustme.CA()
        endpoints = endpoints_of(world, clock)
        async with receiving(_served(authority, NAME)) as receiver:
            url = receiver.url.replace("127.0.0.1", NAME)
            await endpoints.add(world.anna.tenant_id, url)
            sink = TenantEndpoints(
                endpoints, clock, ca_pem=authority.cert_pem.bytes(), resolve=to(*found)
            )
            await enqueue(world, "job.finished", tenant_id=world.anna.tenant_id)
            await run_rounds(deliverer(world, outside(endpoint=sink), clock))
            [(_, state, _, error)] = await states(world)
            assert state == "pending"
            assert error in (
                "the host's address is not a public one",
                "the host's name is not known",
            )
            assert receiver.posts == []

    in_world(database, body)


def test_endpoints_are_each_tenants_own_and_few(database: Database) -> None:
    async def body(world: World) -> None:
        endpoints = endpoints_of(world, StillClock())
        for _ in range(ENDPOINTS_MAX):
            last = await endpoints.add(world.anna.tenant_id, "https://hooks.example.com/a")
        with pytest.raises(BadRequest):
            await endpoints.add(world.anna.tenant_id, "https://hooks.example.com/a")
        with pytest.raises(BadRequest):
            await endpoints.add(world.bert.tenant_id, "http://hooks.example.com/a")
        assert await endpoints.get(world.bert.tenant_id, last.id) is None
        assert await endpoints.all_of(world.bert.tenant_id) == []
        for change in (endpoints.remove, endpoints.rotate, endpoints.enable):
            with pytest.raises(NotFound):
                await change(world.bert.tenant_id, last.id)
        await endpoints.remove(world.anna.tenant_id, last.id)
        assert len(await endpoints.all_of(world.anna.tenant_id)) == ENDPOINTS_MAX - 1
        stored = await world.databases.control.fetch("SELECT secret_sealed FROM webhook_endpoint")
        assert len({row[0] for row in stored}) == ENDPOINTS_MAX - 1

    in_world(database, body)


def test_the_system_resolves_a_name() -> None:
    assert "127.0.0.1" in system_addresses("localhost", 443)
    with pytest.raises(OSError):
        system_addresses("no-such-name.invalid", 443)


def test_figures_pass_as_they_are(database: Database) -> None:
    async def body(world: World) -> None:
        clock = StillClock()
        async with receiving() as receiver:
            webhook = OperatorWebhook(receiver.url, [SECRET], clock)
            worker = deliverer(world, outside(ALL, webhook=webhook), clock)
            figures = {
                "share": 0.1,
                "tokens": 12345678901234567,
                "wide": 1e22,
                "amount": "0.10",
                "none": None,
            }
            await enqueue(world, body=figures)
            await run_rounds(worker)
            assert json.loads(receiver.posts[0].body)["data"] == figures
            await webhook.close()

    in_world(database, body)


def endpoints_of(world: World, clock: Any) -> PostgresEndpoints:
    return PostgresEndpoints(
        world.databases.control, seal=sealed, open_sealed=opened, clock=Chance(clock)
    )


class Chance:
    """The clock with real randomness, which ids and secrets need."""

    def __init__(self, clock: StillClock) -> None:
        self._clock = clock
        self._count = 0

    def now(self) -> Any:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def random(self, count: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(count, "big")


def to(*found: str) -> Resolve:
    def resolve(host: str, _: int) -> Sequence[str]:
        assert host == NAME
        return found

    return resolve


def _served(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context
