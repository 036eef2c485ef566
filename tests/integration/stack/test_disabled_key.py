"""A disabled KMS key makes its tenant's data unreadable within the stated time, and no other's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from tests.support.aws_server import aws_server
from tests.support.settings import load_settings
from tests.support.skewed import SkewedGateway, SteppedClock
from tests.support.stack import ACCOUNTS, MODEL, Stack, Tenant
from tests.support.stack_clients import Reply, converse_body, converse_path

from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.connections import Databases

TEXT = "Apples are red and ripe in autumn."
TTL_S = load_settings({}).key_cache_ttl_s


class Customer:
    """A tenant with a document and a stored answer, and every way it has to read them."""

    def __init__(self, gateway: SkewedGateway, tenant: Tenant) -> None:
        self._gateway = gateway
        self.tenant = tenant
        status, _, body = self._send("POST", "/v1/documents", {"title": "Fruit", "text": TEXT})
        assert (status, orjson.loads(body)["status"]) == (201, "ready")
        self.document = orjson.loads(body)["id"]

    def _send(self, method: str, path: str, body: Any = b"", **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._gateway.http(method, path, body, tenant=self.tenant, headers=named)

    def search(self) -> Reply:
        return self._send("POST", "/v1/search", {"query": "apples"})

    def answer(self) -> Reply:
        return self._send("POST", "/v1/answers", {"question": "Which colour?", "model": MODEL})

    def listing(self) -> Reply:
        return self._send("GET", "/v1/documents")

    def one(self) -> Reply:
        return self._send("GET", f"/v1/documents/{self.document}")

    def content(self) -> Reply:
        return self._send("GET", f"/v1/documents/{self.document}/content")

    def replay(self) -> Reply:
        path = converse_path(MODEL)
        return self._send("POST", path, converse_body(), idempotency_key="once")

    def upload(self) -> Reply:
        return self._send("POST", "/v1/documents", {"title": "Fruit", "text": TEXT})

    def reads(self) -> dict[str, Reply]:
        ways = ("search", "answer", "listing", "one", "content", "replay", "upload")
        return {way: getattr(self, way)() for way in ways}


@dataclass
class Place:
    """Where root keys are: what the gateway is told, and how one of them is switched."""

    settings: Mapping[str, object]
    switch: Callable[[Tenant, bool], None]


@pytest.fixture(params=["local", "aws"])
def place(
    request: pytest.FixtureRequest, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    if request.param == "local":
        kms = LocalKms(stack.home / "accounts", DurableFiles())

        def switch(tenant: Tenant, enabled: bool) -> None:
            asyncio.run(kms.set_enabled(tenant.account, f"own-{tenant.id}", enabled))

        yield Place({}, switch)
        return
    with aws_server(ACCOUNTS["silo"]) as aws:
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        client = aws.client("kms")

        def switch_aws(tenant: Tenant, enabled: bool) -> None:
            alias = f"alias/tenantry/own-{tenant.id}"
            key = client.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
            (client.enable_key if enabled else client.disable_key)(KeyId=key)

        url = f"s3://{aws.bucket('wrapped-keys')}/tenants"
        settings = {"kms": aws.kms_key(), "kms_endpoint_url": aws.url, "key_store_url": url}
        yield Place(settings, switch_aws)
        # Their keys go with the bucket, and are not to be missed by whoever looks at the stack.
        made = [name.split("/")[3] for name in objects_of(aws.client("s3"), "wrapped-keys")]
        stack.in_databases(lambda databases: forget(databases, made))


def objects_of(s3: Any, bucket: str) -> Sequence[str]:
    """As `tenants/<account>/keys/<tenant>/1.json`."""
    return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", ())]


async def forget(databases: Databases, tenant_ids: Sequence[str]) -> None:
    await databases.control.execute(
        "DELETE FROM tenantry.tenant_key WHERE tenant_id = ANY ($1::text[])", tenant_ids
    )


def statuses(replies: dict[str, Reply]) -> set[int]:
    return {status for status, _, _ in replies.values()}


def test_what_is_open_is_zeroed_though_nobody_asks(stack: Stack) -> None:
    clock, kms = SteppedClock(), LocalKms(stack.home / "accounts", DurableFiles())
    with SkewedGateway(stack.home, machine=clock) as gateway:
        anna, bert = (Customer(gateway, stack.tenant(placement="silo")) for _ in range(2))
        assert {anna.search()[0], bert.search()[0]} == {200}
        knowledge = gateway.services.library._knowledge
        partitions = knowledge.vectors._present
        both = partitions.open_bytes
        asyncio.run(kms.set_enabled(anna.tenant.account, f"own-{anna.tenant.id}", False))
        try:
            clock.step(TTL_S)
            gateway.call(knowledge.keys.renew())  # as the task does that the worker runs
        finally:
            asyncio.run(kms.set_enabled(anna.tenant.account, f"own-{anna.tenant.id}", True))
        assert 0 < partitions.open_bytes < both
        assert "keys" in gateway.call(names_of_tasks())


async def names_of_tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()}


def test_a_disabled_key_stops_its_tenant_within_the_stated_time(stack: Stack, place: Place) -> None:
    clock = SteppedClock()
    with SkewedGateway(stack.home, machine=clock, **place.settings) as gateway:
        anna, bert = (Customer(gateway, stack.tenant(placement="silo")) for _ in range(2))
        before = anna.reads()
        assert statuses(before) == {200}
        assert TEXT in before["search"][2].decode()
        bert.reads()
        place.switch(anna.tenant, False)
        clock.step(TTL_S)
        billed = len(stack.bill(anna.tenant))
        for way, (status, headers, body) in anna.reads().items():
            assert status == 503, way
            assert b"KMS key is disabled" in body, way
            assert "x-tenantry-charge" not in headers, way
            assert TEXT.encode() not in body, way
        assert len(stack.bill(anna.tenant)) == billed, "nothing was asked of a model"
        assert statuses(bert.reads()) == {200}
        place.switch(anna.tenant, True)
        after = anna.reads()
        assert statuses(after) == {200}
        assert after["content"][2] == before["content"][2]
        assert after["replay"][1]["idempotent-replayed"] == "true"
        assert after["replay"][2] == before["replay"][2]
        stack.wait_settled(anna.tenant, bert.tenant)
        assert stack.violations() == []
