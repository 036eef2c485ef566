"""The log in a bucket, as Bedrock lays it out: read for true-ups and for reconciling, by its days.

The bucket is `tests/support/s3_server.py`, real HTTP on loopback.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tests.support.ledger import POOL, World, in_world
from tests.support.postgres import Database
from tests.support.s3_server import S3Server
from tests.support.settings import load_settings
from tests.support.stored_logs import ACCOUNT, key, packed, record

from tenantry.adapters.invocation_log.stored import StoredLog
from tenantry.adapters.record_files.local import LocalFiles
from tenantry.adapters.record_files.s3 import S3Files
from tenantry.application.true_up import TrueUp
from tenantry.bootstrap.invocation_logs import EMBEDDED, LogSources
from tenantry.domain.usage import Usage
from tenantry.ports.admission import AttemptOutcome

NOW = datetime.now(UTC)
HOLD = timedelta(hours=72)
EPOCH = datetime.fromtimestamp(0, UTC)


def test_unknown_attempts_are_trued_up_from_a_bucket_once(
    database: Database, bucket: S3Server
) -> None:
    async def body(world: World) -> None:
        mine, other = await world.admitted(), await world.admitted(world.bert)
        for one in (mine, other):
            await world.settle(one, AttemptOutcome(0, 1, "unknown"))
        bucket.objects[f"logs/eu/{key(NOW)}"] = packed(record(mine), record())
        long_ago = f"logs/eu/{key(NOW - timedelta(days=40))}"
        bucket.objects[long_ago] = packed(record(other))
        bucket.objects[f"logs/eu/{key(NOW, 'data/x_input.json.gz')}"] = b"a body, and not read"
        log = StoredLog(S3Files("s3://logs/eu"), places=frozenset({(ACCOUNT, POOL.region)}))
        reader = TrueUp(world.keeper, world.directory, {"s3": log})
        assert (await reader.read_logs(NOW, HOLD)).trued_up == 1
        assert not [path for path in bucket.requests if long_ago in path]
        assert await world.sums() == (Decimal("0.0105"), Decimal("0.0315"))
        assert await world.sums(world.bert) == (0, 0)
        again = TrueUp(world.keeper, world.directory, {"s3": StoredLog(S3Files("s3://logs/eu"))})
        assert (await again.read_all(NOW, NOW - EPOCH)).trued_up == 1, "bert's, of long ago"
        once_more = await again.read_all(NOW, NOW - EPOCH)
        assert (once_more.files, once_more.trued_up) == (0, 0)

    in_world(database, body)


def test_an_outage_of_one_log_stops_no_other_and_guesses_nothing(
    database: Database, bucket: S3Server, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        mine = await world.admitted()
        seen = Usage(uncached_in=10, out=5)
        await world.settle(mine, AttemptOutcome(0, 1, "unknown", usage=seen))
        file = tmp_path / key(NOW)
        file.parent.mkdir(parents=True)
        file.write_bytes(packed(record(mine)))
        bucket.fails = True
        away, here = StoredLog(S3Files("s3://logs")), StoredLog(LocalFiles(tmp_path))
        reader = TrueUp(world.keeper, world.directory, {"away": away, "here": here})
        alone = TrueUp(world.keeper, world.directory, {"away": away})
        assert await alone.settle_by_estimate(NOW + HOLD, timedelta(0)) == 0
        assert (await reader.read_logs(NOW, HOLD)).trued_up == 1

    in_world(database, body)


def test_only_the_days_of_a_period_are_listed(bucket: S3Server) -> None:
    days = [NOW.replace(day=1) - timedelta(days=back) for back in range(0, 60, 5)]
    for day in days:
        for account in (ACCOUNT, "222222222222"):
            bucket.objects[f"logs/{key(day, f'{day:%d}.json.gz', account)}"] = packed(record())
    period = (days[5], days[3])
    log = StoredLog(S3Files("s3://logs"), period=period)
    names = asyncio.run(log.files(EPOCH, set()))
    assert len(names) == 6
    assert {name[-10:-8] for name in names} == {f"{day:%d}" for day in days[3:6]}
    deeper = StoredLog(S3Files("s3://logs/AWSLogs/111111111111"))
    assert asyncio.run(deeper.files(EPOCH, set())) == [], "not a layout that is known"
    assert not asyncio.run(deeper.has_files())
    named = StoredLog(S3Files("s3://logs/AWSLogs/111111111111"), anywhere=True)
    assert len(asyncio.run(named.files(EPOCH, set()))) == 12, "but what a person named"
    long_ago = (datetime(2001, 1, 1, tzinfo=UTC), datetime(2001, 2, 1, tzinfo=UTC))
    idle = StoredLog(S3Files("s3://logs"), period=long_ago, anywhere=True)
    assert asyncio.run(idle.files(EPOCH, set())) == []
    assert asyncio.run(idle.has_files()), "of other days: there is a log"
    empty = StoredLog(S3Files("s3://logs/nothing"), anywhere=True)
    assert not asyncio.run(empty.has_files())
    assert len(asyncio.run(StoredLog(S3Files("s3://logs")).files(EPOCH, set(names)))) == 18


def test_which_accounts_are_covered(bucket: S3Server) -> None:
    log = StoredLog(S3Files("s3://logs"), places=frozenset({("333333333333", POOL.region)}))
    here = POOL.region
    assert asyncio.run(log.covers("333333333333", here)), "said to be, before anything came"
    assert not asyncio.run(log.covers("333333333333", "eu-west-1"))
    assert not asyncio.run(log.covers(ACCOUNT, here))
    bucket.objects[f"logs/{key(NOW)}"] = packed(record())
    assert asyncio.run(log.covers(ACCOUNT, here))
    assert not asyncio.run(log.covers(ACCOUNT, "eu-west-1"))
    assert not asyncio.run(log.covers("222222222222", here))


def test_one_file_and_lines_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "brought.jsonl"
    half = json.dumps({**record(), "input": {"inputBodyJson": "\ud83d"}})
    deep = half.replace('"\\ud83d"', '["\\ud83d",' * 5_000 + "1" + "]" * 5_000)
    lines = [json.dumps(record()), "not json", "[1]", half, deep]
    file.write_bytes("\n".join(lines).encode() + b"\n\xff\n")
    log = StoredLog(LocalFiles(file))
    [name] = asyncio.run(log.files(EPOCH, set()))
    assert len(asyncio.run(log.records(name)).records) == 2, "a body may hold half a character"
    assert log.skipped_lines == 4
    packed_file = tmp_path / "cut.json.gz"
    packed_file.write_bytes(packed(record())[:-10])
    cut = StoredLog(LocalFiles(packed_file))
    assert asyncio.run(cut.records("cut.json.gz")).records == []
    assert (cut.skipped_lines, cut.unreadable_files) == (0, ["cut.json.gz"])
    assert asyncio.run(log.files(EPOCH, {name})) == []


def test_a_placement_says_where_its_account_is_logged(
    database: Database, bucket: S3Server, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        settings = load_settings(
            {"TENANTRY_HOME": str(tmp_path), "TENANTRY_INVOCATION_LOG_URL": "s3://all/logs"}
        )
        sources = LogSources(settings, world.keeper)
        await sources.refresh()
        assert list(sources) == [EMBEDDED, "settings s3://all/logs"]
        silo = replace(POOL, id="acme", kind="silo", account="222222222222")
        await world.control.apply_placement(replace(silo, invocation_log="s3://acme-logs"))
        await sources.refresh()
        [name] = [one for one in sources if "acme-logs" in one]
        log = sources[name]
        assert await log.covers("222222222222", silo.region)
        await sources.refresh()
        assert sources[name] is log, "what is open stays open"
        await world.control.apply_placement(silo)
        await sources.refresh()
        assert name not in sources

    in_world(database, body)
