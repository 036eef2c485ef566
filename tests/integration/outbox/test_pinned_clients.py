"""Clients of tenants' endpoints are kept between deliveries, and lead nowhere else for it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any, cast
from uuid import uuid4

import pytest
import trustme
from tests.support.outbox import SECRET, Receiver, StillClock, receiving

from tenantry.adapters.webhook import clients
from tenantry.adapters.webhook.sinks import TenantEndpoints
from tenantry.domain.ids import TenantId
from tenantry.ports.delivery import Delivery, DeliveryFailed
from tenantry.ports.endpoints import Endpoint, Endpoints

NAME = "hooks.example.test"
ANNA, BERT = TenantId("tnt_anna"), TenantId("tnt_bert")
RECEIVER = "127.0.0.1"


class OneUrl:
    """Both tenants name the same."""

    def __init__(self, url: str, clock: StillClock) -> None:
        self._url, self._clock = url, clock

    async def get(self, tenant_id: TenantId, endpoint_id: str) -> Endpoint | None:
        return Endpoint(tenant_id, endpoint_id, self._url, (SECRET,), self._clock.now(), None, None)


class Sending:
    """Deliveries of tenants to a receiver that has a certificate for `NAME`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: Sequence[str] = [RECEIVER]
        self.clock = StillClock()
        self.built: list[tuple[str, str, int]] = []
        self._authority = trustme.CA()
        build = clients.build_client

        def noted(ca_pem: bytes | None, pinned: Any) -> Any:
            self.built.append(pinned)
            return build(ca_pem, pinned)

        monkeypatch.setattr(clients, "build_client", noted)

    def served(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(NAME).configure_cert(context)
        return context

    def sink(self, receiver: Receiver) -> TenantEndpoints:
        url = receiver.url.replace(RECEIVER, NAME)
        return TenantEndpoints(
            cast(Endpoints, OneUrl(url, self.clock)),
            self.clock,
            ca_pem=self._authority.cert_pem.bytes(),
            resolve=lambda *_: self.found,
            allowed=lambda address: address == RECEIVER,
        )

    def delivery(self, tenant_id: TenantId) -> Delivery:
        now, notice_id = self.clock.now(), uuid4()
        sink = "endpoint:end_a"
        return Delivery(tenant_id, notice_id, sink, "job.finished", {}, now, 1, now, notice_id, now)


@pytest.fixture
def sending(monkeypatch: pytest.MonkeyPatch) -> Sending:
    return Sending(monkeypatch)


def test_one_client_serves_a_tenants_deliveries_for_ten_minutes(sending: Sending) -> None:
    async def body() -> None:
        async with receiving(sending.served()) as receiver:
            sink = sending.sink(receiver)
            several = [sink.deliver(sending.delivery(ANNA)) for _ in range(8)]
            await asyncio.gather(*several)
            await sink.deliver(sending.delivery(ANNA))
            assert len(sending.built) == 1
            await sink.deliver(sending.delivery(BERT))
            assert len(sending.built) == 2, "tenants share none"
            sending.clock.pass_by(seconds=clients.CLIENT_MAX_S)
            await sink.deliver(sending.delivery(ANNA))
            assert len(sending.built) == 3, "what the system trusts may have changed"
            assert len(receiver.posts) == 11
            await sink.close()

    asyncio.run(body())


def test_a_name_that_leads_elsewhere_by_now_is_not_served_by_the_client_it_had(
    sending: Sending,
) -> None:
    async def body() -> None:
        async with receiving(sending.served()) as receiver:
            sink = sending.sink(receiver)
            await sink.deliver(sending.delivery(ANNA))
            for found in (["10.0.0.1"], [RECEIVER, "169.254.169.254"]):
                sending.found = found
                with pytest.raises(DeliveryFailed, match="not a public one"):
                    await sink.deliver(sending.delivery(ANNA))
            assert len(receiver.posts) == len(sending.built) == 1
            await sink.close()

    asyncio.run(body())


def test_no_connection_is_kept_to_an_address_that_nobody_checks_any_more(
    sending: Sending,
) -> None:
    async def body() -> None:
        async with receiving(sending.served()) as receiver:
            sink = sending.sink(receiver)
            await sink.deliver(sending.delivery(ANNA))
            await sink.deliver(sending.delivery(ANNA))
            assert len(receiver.connections) == 2
            await sink.close()

    asyncio.run(body())


def test_clients_are_few_and_one_that_makes_place_ends_its_deliveries(
    sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "CLIENTS_MAX", 1)

    async def body() -> None:
        async with receiving(sending.served()) as receiver:
            sink = sending.sink(receiver)
            tenants = [ANNA, BERT] * 4
            await asyncio.gather(*(sink.deliver(sending.delivery(each)) for each in tenants))
            assert len(receiver.posts) == 8
            assert len(sink._clients._clients) == 1
            await sink.close()

    asyncio.run(body())
