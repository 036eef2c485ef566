"""Over the wire: a thousand requests over four workers race for a cap, to the cent."""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from tests.support.metered import ANSWER_TOKENS, TEN, MeteredStack
from tests.support.postgres import scratch_folder
from tests.support.stack import Tenant, wait_until
from tests.support.stack_clients import converse_path

from tenantry.ports.control import Budget

REQUESTS, ADMITTED, RETRIES = 1_000, 50, 5
CAP, RESERVED, ACTUAL = Decimal(5), Decimal("0.10"), Decimal("0.04")


@pytest.fixture
def four_workers() -> Iterator[MeteredStack]:
    with scratch_folder() as folder, MeteredStack(folder, workers=4) as started:
        yield started


@pytest.mark.xdist_group("metered")
def test_exactly_fifty_are_admitted(four_workers: MeteredStack) -> None:
    metered = four_workers
    anna, bert = metered.tenants()
    metered.control(
        lambda control: control.set_budget(Budget(anna.id, "tenant", anna.id, "total", "cost", CAP))
    )
    body = _body(metered)
    emulator = metered.emulator.process
    emulator.send_signal(signal.SIGSTOP)  # nothing settles before the last request has arrived
    try:
        replies = asyncio.run(_race(metered, anna, orjson.dumps(body)))
    finally:
        emulator.send_signal(signal.SIGCONT)
    assert Counter(status for status, _ in replies) == {200: ADMITTED, 402: REQUESTS - ADMITTED}
    assert all(charge == "0.12 USD" for status, charge in replies if status == 200)
    assert _budget(metered, anna)[0] == 50 * ACTUAL
    # What was admitted while nobody waited for it any more is given back.
    wait_until(lambda: _budget(metered, anna) == (50 * ACTUAL, 0, 3), "nothing is held")
    posted = metered.posted(anna)
    assert (posted.cost, posted.charge) == (50 * ACTUAL, 150 * ACTUAL)
    metered.agree(anna, bert)


def _body(metered: MeteredStack) -> dict[str, Any]:
    """A request of which 10,000 tokens are reserved and 4,000 used, at 10 $ per million."""
    ask = metered.prompt(TEN, 4_000 - ANSWER_TOKENS)
    bound = len(ask["messages"][0]["content"][0]["text"]) + 32
    return {**ask, "inferenceConfig": {"maxTokens": 10_000 - bound}}


async def _race(metered: MeteredStack, tenant: Tenant, body: bytes) -> list[tuple[int, str]]:
    """Sends all at once and lets the model answer when all but the admitted are refused."""
    refused = asyncio.Semaphore(0)

    async def one() -> tuple[int, str]:
        for _ in range(RETRIES):
            status, headers = await _post(metered.url, converse_path(TEN), tenant.key.bearer, body)
            if status != 503:  # the ledger took seconds on a busy machine, and admitted nothing
                break
        if status != 200:
            refused.release()
        return status, headers.get("x-tenantry-charge", "")

    tasks = [asyncio.create_task(one()) for _ in range(REQUESTS)]
    for _ in range(REQUESTS - ADMITTED):
        await asyncio.wait_for(refused.acquire(), 60)
    held = await asyncio.to_thread(_budget, metered, tenant)
    assert held == (0, CAP, 0), "never over the cap"
    metered.emulator.process.send_signal(signal.SIGCONT)
    return await asyncio.gather(*tasks)


async def _post(url: str, path: str, bearer: str, body: bytes) -> tuple[int, dict[str, str]]:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {where.netloc}\r\nauthorization: Bearer {bearer}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), {k: v.replace("usd", "USD") for k, v in headers.items()}


def _budget(metered: MeteredStack, tenant: Tenant) -> tuple[Decimal, Decimal, Decimal]:
    """Settled, reserved, free."""
    rows = metered.control(lambda control: control.list_budgets(tenant.id))  # type: ignore[arg-type]
    (row,) = [row for row in rows if row["basis"] == "cost"]
    return row["settled"], row["reserved"], row["remaining"]
