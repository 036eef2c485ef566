"""Names that tenants choose are looked up without one tenant in another's way."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

import pytest
from tests.support.outbox import SECRET, StillClock, until

from tenantry.adapters.webhook import lookups
from tenantry.adapters.webhook.sinks import TenantEndpoints
from tenantry.domain.backoff import REST
from tenantry.domain.ids import TenantId
from tenantry.ports.delivery import Delivery, DeliveryFailed
from tenantry.ports.endpoints import Endpoint, Endpoints

ANNA, BERT = TenantId("tnt_anna"), TenantId("tnt_bert")
LIMIT_S = 10.0


class NameServers:
    """Those of `slow.test` say nothing while they are held; all other names lead to 10.0.0.1."""

    def __init__(self) -> None:
        self.freed = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *_: object, **__: object) -> list[Any]:
        self.asked.append(host)
        if host.endswith("slow.test"):
            self.freed.wait(LIMIT_S)
        if host.endswith("mute.test"):
            raise socket.gaierror(socket.EAI_AGAIN, "again")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", port))]


class EveryHost:
    """The endpoint `whk_a_test` is https://a.test."""

    async def get(self, tenant_id: TenantId, endpoint_id: str) -> Endpoint:
        host = endpoint_id.removeprefix("whk_").replace("_", ".")
        at = datetime.fromisoformat("2026-12-01T00:00:00Z")
        return Endpoint(tenant_id, endpoint_id, f"https://{host}/x", (SECRET,), at, None, None)


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServers]:
    servers = NameServers()
    monkeypatch.setattr(socket, "getaddrinfo", servers)
    yield servers
    servers.freed.set()


def to(tenant_id: TenantId, host: str) -> Delivery:
    sink = f"endpoint:whk_{host.replace('.', '_')}"
    told: Any = dict.fromkeys(("notice_id", "lease", "leased_at"))
    at = datetime.fromisoformat("2026-12-01T00:00:00Z")
    given = {"kind": "job.ended", "body": {}, "created_at": at, "attempts": 1, "since": at}
    return Delivery(tenant_id=tenant_id, sink=sink, **{**told, **given})


async def failure(sink: TenantEndpoints, tenant_id: TenantId, host: str) -> str:
    with pytest.raises(DeliveryFailed) as failed:
        await sink.deliver(to(tenant_id, host))
    return failed.value.message


def sink_at(clock: StillClock) -> TenantEndpoints:
    return TenantEndpoints(cast(Endpoints, EveryHost()), clock)


def test_one_tenants_slow_name_servers_hold_up_nobody_else(servers: NameServers) -> None:
    async def body() -> None:
        sink = sink_at(StillClock())
        hosts = [f"h{number}.slow.test" for number in range(40)]
        anna = [asyncio.create_task(failure(sink, ANNA, host)) for host in hosts]
        async with asyncio.timeout(LIMIT_S / 2):
            told = await failure(sink, BERT, "hooks.quick.test")
            assert told == "the host's address is not a public one"
            assert await asyncio.to_thread(lambda: 7) == 7, "nor what else works in threads"
        servers.freed.set()
        told_anna = [await each for each in anna]
        assert set(told_anna) == {
            "the host's address is not a public one",
            "the host's name was not looked up: earlier lookups of the tenant's have not ended",
        }
        assert len(servers.asked) == 1 + lookups.TENANT_LOOKUPS_MAX
        assert await failure(sink, ANNA, "h9.quick.test") == told

    asyncio.run(body())


def test_a_name_that_was_not_answered_rests_and_that_is_told(
    servers: NameServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "LOOKUP_MAX_S", 0.02)

    async def body() -> None:
        clock = StillClock()
        sink = sink_at(clock)
        silent = "the host's name servers did not answer within 0 s"
        for _ in range(3):
            assert await failure(sink, ANNA, "a.slow.test") == silent
        assert servers.asked == ["a.slow.test"]
        servers.freed.set()
        clock.pass_by(seconds=REST.total_seconds())
        assert await failure(sink, ANNA, "a.slow.test") == "the host's address is not a public one"
        told = await failure(sink, ANNA, "a.mute.test")
        assert told == "the host's name servers gave no answer"

    asyncio.run(body())


def test_notices_to_one_host_ask_for_it_once(servers: NameServers) -> None:
    async def body() -> None:
        sink = sink_at(StillClock())
        each = [asyncio.create_task(failure(sink, ANNA, "a.slow.test")) for _ in range(8)]
        await until(lambda: bool(servers.asked))
        servers.freed.set()
        assert {await one for one in each} == {"the host's address is not a public one"}
        assert servers.asked == ["a.slow.test"]

    asyncio.run(body())


ENDS = """
import asyncio, threading
from tenantry.adapters.clock import SystemClock
from tenantry.adapters.webhook.lookups import Lookups

async def body():
    asked, never = threading.Event(), threading.Event()
    lookups = Lookups(SystemClock(), lambda *_: asked.set() or never.wait())
    asyncio.create_task(lookups.addresses("tnt_anna", "a.slow.test", 443))
    await asyncio.to_thread(asked.wait)

asyncio.run(body())
print("ended")
"""


def test_a_process_waits_at_its_end_for_no_name_servers() -> None:
    command = [sys.executable, "-P", "-c", ENDS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("ended\n", "", 0)
