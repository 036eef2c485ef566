"""Attempts whose log nobody read for long: read first, and written off only by what was read."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.ledger import POOL, World, in_world, intent
from tests.support.log_workers import DOWN, SUMS, Process, endings, waiting
from tests.support.postgres import Database
from tests.support.s3_server import S3Server
from tests.support.stored_logs import deliver, key, packed, record

from tenantry.adapters.invocation_log import lines
from tenantry.adapters.invocation_log.folder import FolderLog
from tenantry.adapters.invocation_log.stored import StoredLog
from tenantry.adapters.record_files.s3 import S3Files
from tenantry.application.log_reading import NONE_ANY_MORE, log_facts
from tenantry.domain.tenant import Principal
from tenantry.ports.admission import AttemptOutcome, Reservation
from tenantry.ports.invocation_log import InvocationLog, LogFile

OTHER = "222222222222"  # an account
PLACE = (POOL.account, POOL.region)


async def unknown(world: World, who: Principal, account: str = POOL.account) -> Reservation:
    made = await world.admitted(who, first=intent(account=account))
    await world.settle(made, AttemptOutcome(0, 1, "unknown"))
    return made


@pytest.mark.parametrize("first", ["write-off", "read-logs"])
def test_records_that_lay_there_while_nobody_read_settle(
    database: Database, tmp_path: Path, first: str
) -> None:
    """Of the other tenant the log lacks its file."""

    async def body(world: World) -> None:
        mine, _ = await unknown(world, world.anna), await unknown(world, world.bert)
        deliver(tmp_path, record(mine))
        process = Process(world, {"pool": FolderLog(tmp_path)})
        await process.round(first, "write-off", "read-logs")
        assert await endings(world) == {"anna": "settled", "bert": "written_off"}
        assert await world.sums() == SUMS
        assert await world.sums(world.bert) == (0, 0)

    in_world(database, body)


def test_all_rounds_of_a_start_at_once_write_off_nothing_that_is_logged(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        for who in (world.anna, world.bert):
            deliver(tmp_path, record(await unknown(world, who)))
        process = Process(world, {"pool": FolderLog(tmp_path)})
        await asyncio.gather(*(process.round(name) for name in ("write-off", "read-logs")))
        assert await endings(world) == {"anna": "settled", "bert": "settled"}
        assert await world.sums() == await world.sums(world.bert) == SUMS

    in_world(database, body)


def put_no_files(root: Path) -> None:
    """Beside each file of a log."""
    for hour in {path.parent for path in root.rglob("*.json.gz")}:
        os.mkfifo(hour / "pipe.json.gz")
        (hour / "link.json.gz").symlink_to(root / "gone")


def test_what_is_no_file_of_a_log_holds_nobody_back(database: Database, tmp_path: Path) -> None:
    """A pipe that nobody writes, and a link that leads nowhere."""

    async def body(world: World) -> None:
        deliver(tmp_path, record(await unknown(world, world.anna)))
        await unknown(world, world.bert)
        put_no_files(tmp_path)
        await Process(world, {"pool": FolderLog(tmp_path)}).round("write-off")
        assert await endings(world) == {"anna": "settled", "bert": "written_off"}

    in_world(database, body)


def test_a_log_out_of_reach_holds_back_its_own_account_alone(
    database: Database, bucket: S3Server, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        mine = await unknown(world, world.anna)
        await unknown(world, world.bert, OTHER)
        bucket.objects[f"logs/{key(datetime.now(UTC))}"] = packed(record(mine))
        bucket.fails = True
        away = StoredLog(S3Files("s3://logs"), places=frozenset({PLACE}))
        logs = {"away": away, "here": FolderLog(tmp_path)}
        for _ in range(2):
            await Process(world, logs).round("write-off")
        assert await endings(world) == {"bert": "written_off"}
        [held] = await waiting(world)
        assert (held.account, held.attempts, held.read_at) == (POOL.account, 1, None)
        assert held.away_since is not None and "away: it cannot be reached" in held.problem
        later = held.away_since + timedelta(hours=1)
        fact, [problem] = log_facts([held], later)
        assert fact.startswith(f"{POOL.account} {POOL.region}: away since ")
        assert f"tenantry ledger write-off --account {POOL.account}" in problem
        notices = await world.fetch(
            "SELECT tenant_id, body::text FROM notice WHERE kind = 'platform.log_unread'"
        )
        [(tenant, told)] = [tuple(row) for row in notices]
        assert (tenant, json.loads(told)["account"], json.loads(told)["attempts"]) == (
            "", POOL.account, 1,
        )  # fmt: skip
        bucket.fails = False
        await Process(world, logs).round("write-off")
        assert await world.sums() == SUMS
        assert await waiting(world) == []

    in_world(database, body)


class OneIsGone(FolderLog):
    """A log of which each file is listed, and some cannot be read now."""

    gone = True

    async def records(self, name: str) -> LogFile:
        if self.gone:
            raise OSError("no such key")
        return await super().records(name)


def test_a_file_that_cannot_be_read_now_holds_back_what_it_may_tell_of(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        mine, _ = await unknown(world, world.anna), await unknown(world, world.bert)
        deliver(tmp_path, record(mine))
        log = OneIsGone(tmp_path)
        process = Process(world, {"pool": log})
        await process.round("write-off")
        assert await endings(world) == {}
        log.gone = False
        await process.round("write-off")
        assert await endings(world) == {"anna": "settled", "bert": "written_off"}

    in_world(database, body)


@pytest.mark.parametrize("how", ["cut", "long"])
def test_a_file_that_is_not_whole_holds_back_its_own_place_until_it_is(
    database: Database, bucket: S3Server, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """And not the other tenant's account, which is logged to the same bucket."""

    async def body(world: World) -> None:
        mine, _ = await unknown(world, world.anna), await unknown(world, world.bert, OTHER)
        name, whole = f"logs/{key(datetime.now(UTC))}", packed(record(mine))
        bucket.objects[name] = whole[:-10]
        if how == "long":
            monkeypatch.setattr(lines, "FILE_BYTES_MAX", 100)
            bucket.objects[name] = whole
        places = frozenset({PLACE, (OTHER, POOL.region)})
        process = Process(world, {"s3": StoredLog(S3Files("s3://logs"), places=places)})
        await process.round("read-logs", "write-off")
        assert await endings(world) == {"bert": "written_off"}
        [held] = await waiting(world)
        assert held.away_since is not None
        assert "json.gz cannot be read to its end: it is" in held.problem
        monkeypatch.setattr(lines, "FILE_BYTES_MAX", 1_000_000)
        bucket.objects[name] = whole
        await process.round("write-off")
        assert await endings(world) == {"anna": "settled", "bert": "written_off"}
        assert await world.sums() == SUMS

    in_world(database, body)


def test_lines_that_are_no_records_hold_back_nothing_and_are_told(
    database: Database, bucket: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody delivers them again: what waited for them would wait for ever."""

    async def body(world: World) -> None:
        mine, _ = await unknown(world, world.anna), await unknown(world, world.bert)
        name = key(datetime.now(UTC))
        text = json.dumps(record(mine)).encode()
        bucket.objects[f"logs/{name}"] = gzip.compress(text + b"\nno record\n" + text[:-1])
        log = StoredLog(S3Files("s3://logs"), places=frozenset({PLACE}))
        process = Process(world, {"s3": log})
        await process.round("read-logs", "write-off")
        assert await endings(world) == {"anna": "settled", "bert": "written_off"}
        [told] = [each for each in caplog.messages if name in each]
        assert told.startswith("alert: 2 lines of log file ")

    in_world(database, body)


class IsTakenAway(dict[str, InvocationLog]):
    """Logs of which one goes between two questions."""

    async def covers(self, account: str, region: str) -> bool:
        self.clear()
        return True

    async def files(self, since: datetime, done: object) -> list[str]:
        raise AssertionError("it is gone")

    async def records(self, name: str) -> LogFile:
        raise AssertionError("it is gone")


def test_a_log_that_is_taken_away_meanwhile_stops_no_round(database: Database) -> None:
    async def body(world: World) -> None:
        await unknown(world, world.anna)
        await unknown(world, world.bert, OTHER)
        logs = IsTakenAway()
        logs["pool"] = logs
        await Process(world, logs).round("write-off")
        assert await endings(world) == {"bert": "written_off"}
        [held] = await waiting(world)
        assert (held.account, held.problem) == (
            POOL.account, "pool: it was taken away before it was read",
        )  # fmt: skip

    in_world(database, body)


def test_how_far_was_read_outlives_the_process(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await unknown(world, world.anna)
        process = Process(world, {"pool": FolderLog(tmp_path)})
        assert await world.keeper.write_off(datetime.now(UTC) + DOWN) == 0, "nobody has read"
        await process.round("read-logs")
        # The process is killed; another begins, and meanwhile one more has come to be in doubt.
        later = await unknown(world, world.bert)
        await world.as_superuser(
            "UPDATE tenantry.open_request SET unknown_at = now() + interval '74 hours'"
            " WHERE tenant_id = $1",
            later.tenant_id,
        )
        assert await world.keeper.write_off(datetime.now(UTC) + DOWN) == 1
        assert await endings(world) == {"anna": "written_off"}
        deliver(tmp_path, record(later))
        again = Process(world, {"pool": FolderLog(tmp_path)}, DOWN + timedelta(hours=1))
        await again.round("write-off")
        assert await world.sums(world.bert) == SUMS

    in_world(database, body)


def test_an_account_without_a_log_is_told_of_and_written_off_by_age(database: Database) -> None:
    async def body(world: World) -> None:
        await unknown(world, world.anna)
        await Process(world, {}, timedelta(hours=71)).round("write-off")
        [held] = await waiting(world)
        fact, _ = log_facts([held], held.oldest_at)
        assert fact == f"{POOL.account} {POOL.region}: none set up, 1 attempts wait"
        await Process(world, {}).round("write-off")
        assert await endings(world) == {"anna": "written_off"}

    in_world(database, body)


def test_where_a_log_was_switched_off_for_good_an_operator_says_so(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        await unknown(world, world.anna)
        await unknown(world, world.bert, OTHER)
        await Process(world, {"pool": FolderLog(tmp_path)}, timedelta()).round("read-logs")
        await Process(world, {}).round("write-off")
        assert await endings(world) == {}
        assert [each.problem for each in await waiting(world)] == [NONE_ANY_MORE] * 2
        assert await world.keeper.give_up(datetime.now(UTC), POOL.account) == 1
        assert await endings(world) == {"anna": "written_off"}
        await unknown(world, world.anna)
        await Process(world, {}).round("write-off")
        assert [each.account for each in await waiting(world)] == [OTHER], (
            "of the first by age again"
        )

    in_world(database, body)
