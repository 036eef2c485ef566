"""A model adapter with the credentials of two accounts, closed after the test's loop has run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import uvloop

from tenantry.adapters.bedrock.client import BedrockModel, uncounted, untold
from tenantry.adapters.bedrock.connections import Connections
from tenantry.adapters.bedrock.credentials import Credentials, StaticCredentials
from tenantry.ports.model import Attempt, Operation, Timeouts, Upstream

NOW = datetime(2026, 11, 23, 12, 30, 15, tzinfo=UTC)
CREDENTIALS = {
    "pool": Credentials("AKIAPOOL", "pool-secret"),
    "silo": Credentials("ASIASILO", "silo-secret", "silo-token"),
}


class FixedClock:
    def now(self):
        return NOW

    def monotonic(self):
        return 0.0

    def random(self, count):
        return bytes(count)


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request, monkeypatch):
    """The gateway runs on uvloop, whose transports are no classes of asyncio's."""
    if request.param == "uvloop":

        def run(main):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(main)

        monkeypatch.setattr(asyncio, "run", run)


@asynccontextmanager
async def opened(count=uncounted, skewed=untold, **options) -> AsyncIterator[BedrockModel]:
    credentials, connections = StaticCredentials(CREDENTIALS), Connections(**options)
    model = BedrockModel(credentials, FixedClock(), connections, count, skewed)
    try:
        yield model
    finally:
        await model.close()


@pytest.fixture
def model():
    """`async with model() as m:` an adapter; options that are of neither go to `Connections`."""
    return opened


@pytest.fixture
def attempt():
    """Build an attempt at a server's URL."""

    def build(url, operation=Operation.CONVERSE, ref="pool", **changes):
        limits = {
            "connect_timeout_ms": 5_000,
            "first_byte_timeout_ms": 20_000,
            "idle_timeout_ms": 20_000,
            "total_timeout_ms": 30_000,
        }
        timeouts = Timeouts(**{n: changes.pop(n, v) for n, v in limits.items()})
        return Attempt(
            Upstream("111111111111", "us-east-1", url, ref),
            operation,
            changes.pop("model_id", "us.amazon.nova-lite-v1:0"),
            changes.pop("body", b'{"messages":[]}'),
            changes.pop("headers", {"content-type": "application/json"}),
            timeouts,
        )

    return build
