"""Over the wire: a client leaves a stream, and the whole answer is accounted."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.support.metered import CLAUDE, MeteredStack, Posted
from tests.support.stack import Tenant, wait_until

from tenantry.adapters.invocation_log.folder import OF_EACH_ACCOUNT, FolderLog
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.adapters.postgres.log_readings import PostgresLogReadings
from tenantry.application.ledger_rounds import ledger_rounds
from tenantry.application.true_up import TrueUp
from tenantry.bootstrap.invocation_logs import EMBEDDED
from tenantry.entrypoints.rounds import run_rounds

HOLD = timedelta(hours=72)
COST, CHARGE = Decimal("0.0078"), Decimal("0.0234")  # 45 in, 511 out
WAYS = ("sigv4", "bearer", "openai")


def leave_after(metered: MeteredStack, tenant: Tenant, way: str, tokens: int = 20) -> None:
    """Asks for 511 tokens, and hangs up once about so many have come."""
    ask = metered.ask(CLAUDE, 45, 511)
    if way == "openai":
        text = ask["messages"][0]["content"][0]["text"]
        with (
            metered.openai(tenant) as sdk,
            sdk.chat.completions.create(
                model=CLAUDE,
                messages=[{"role": "user", "content": text}],
                max_tokens=511,
                stream=True,
            ) as chunks,
        ):
            _read(chunks, tokens)
        return
    stream = metered.boto3(tenant, way).converse_stream(**ask)["stream"]
    _read(stream, tokens)
    stream.close()


def _read(events: Iterator[Any], tokens: int) -> None:
    """An event of the emulator's streams holds a token or a few."""
    for _, _event in zip(range(tokens // 4), events, strict=False):
        pass


@pytest.mark.parametrize("way", WAYS)
def test_the_whole_answer_is_billed_once(metered: MeteredStack, way: str) -> None:
    anna, bert = metered.tenants()
    metered.rule(anna, "slow_tokens", delay_ms=2)
    leave_after(metered, anna, way)
    posted = metered.wait_posted(anna, 1)
    assert posted.attempts == [(0, 1, "settled", True)]
    assert (posted.cost, posted.charge, posted.waste) == (COST, CHARGE, 0)
    assert (posted.held_cost, posted.held_charge) == (0, 0)
    assert "trued_up" not in posted.flags, "the drain ended before the answer did"
    metered.agree(anna, bert)
    assert metered.posted(bert).charge == 0


def at_the_drain_cap(metered: MeteredStack, tenant: Tenant) -> Posted:
    """A client has left an answer that takes far longer than we read on for it."""
    metered.rule(tenant, "slow_tokens", delay_ms=100)
    leave_after(metered, tenant, "sigv4", tokens=4)
    return metered.wait_unknown(tenant)


def test_the_log_tells_what_the_drain_did_not(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    unknown = at_the_drain_cap(metered, anna)
    assert (unknown.cost, unknown.charge) == (0, 0)
    assert unknown.held_cost >= COST
    assert unknown.held_charge == 3 * unknown.held_cost

    wait_until(lambda: metered.bill(anna), "the bill")
    metered.log()
    posted = metered.wait_posted(anna, 1)
    assert posted.attempts == [(0, 1, "settled", True)]
    assert (posted.cost, posted.charge, posted.waste) == (COST, CHARGE, 0)
    assert (posted.held_cost, posted.held_charge) == (0, 0)
    assert "trued_up" in posted.flags
    metered.agree(anna, bert)


def test_without_a_log_for_72_hours_it_is_written_off(
    metered: MeteredStack, caplog: pytest.LogCaptureFixture
) -> None:
    anna, bert = metered.tenants()
    unknown = at_the_drain_cap(metered, anna)
    write_off(metered, datetime.now(UTC) + HOLD - timedelta(minutes=5))
    assert metered.posted(anna) == unknown

    def told() -> bool:
        """A round may come too late: the stack's own worker reads the log as well."""
        write_off(metered, datetime.now(UTC) + HOLD)
        return any("written off" in record.getMessage() for record in caplog.records)

    with caplog.at_level(logging.WARNING):
        wait_until(told, "the write-off")

    written_off = metered.posted(anna)
    assert written_off.attempts == [(0, 1, "written_off", False)]
    assert (written_off.cost, written_off.charge) == (0, 0)
    assert (written_off.held_cost, written_off.held_charge) == (0, 0)

    # What comes after the write-off is a linked adjustment, and our waste.
    wait_until(lambda: metered.bill(anna), "the bill")
    metered.log()
    adjusted = wait_until(
        lambda: posted if (posted := metered.posted(anna)).cost else None, "the adjustment"
    )
    assert (adjusted.cost, adjusted.waste, adjusted.charge) == (COST, COST, 0)
    assert metered.rows(
        "SELECT DISTINCT kind FROM tenantry.ledger_entries WHERE tenant_id = $1", anna.id
    ) == [("adjustment",)]
    metered.agree(anna, bert)


class _Moved:
    """A clock that shows another time than the wall's."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return 0.0

    def random(self, count: int) -> bytes:
        return bytes(count)


def write_off(metered: MeteredStack, now: datetime) -> None:
    """One round of the background worker as at `now`; the log has no record yet."""

    async def round_of(databases: Databases) -> None:
        stop = asyncio.Event()
        keeper = PostgresLedgerKeeper(databases.control, databases.operator)
        log = FolderLog(metered.home / "accounts", each=OF_EACH_ACCOUNT)
        true_up = TrueUp(keeper, None, {EMBEDDED: log})  # type: ignore[arg-type]
        rounds = ledger_rounds(
            keeper, true_up, _Moved(now), PostgresLogReadings(databases.control), hold=HOLD,
            estimate_after=HOLD, log_poll_s=60,
        )  # fmt: skip
        worker = asyncio.create_task(run_rounds(rounds, stop))
        await asyncio.sleep(0.5)
        stop.set()
        await worker

    metered.in_databases(round_of)
