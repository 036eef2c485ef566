"""Logs of accounts in several regions, and logs that moved: an attempt is told of where Bedrock
logged it, whatever other logs there are."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.ledger import POOL, World, in_world, intent
from tests.support.log_workers import SUMS, Process, endings, waiting
from tests.support.postgres import Database
from tests.support.s3_server import S3Server
from tests.support.settings import load_settings
from tests.support.stored_logs import key, packed, record

from tenantry.adapters.postgres.keeper import FORGOTTEN_MAX
from tenantry.adapters.postgres.log_readings import PostgresLogReadings
from tenantry.application.log_reading import GONE, NONE_ANY_MORE
from tenantry.bootstrap.invocation_logs import EMBEDDED, LogSources
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.admission import AttemptOutcome, Reservation

EU, COPIED = "eu-west-1", "eu-central-1"
US_LOG, EU_LOG = dataclasses.replace(POOL, invocation_log="s3://us-logs"), "s3://eu-logs"
NOW = timedelta()
LATER = timedelta(hours=2)  # since a log moved: nothing is logged to the old one any more
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BEGAN = "UPDATE tenantry.open_request SET admitted_at = admitted_at + $1::interval"
LOST = """
INSERT INTO tenantry.log_reading AS r (account, region, logs) VALUES ($1, $2, $3)
ON CONFLICT (account, region) DO UPDATE SET logs = excluded.logs
"""
MOVED = "UPDATE tenantry.log_reading SET gone = jsonb_build_object($1::text, now() - $2::interval)"
MOVED_AT = "UPDATE tenantry.log_reading SET gone = jsonb_build_object($1::text, $2::timestamptz)"


async def opened(world: World, home: Path, url: str | None = None) -> LogSources:
    """The logs of a worker that has just begun."""
    told = {} if url is None else {"TENANTRY_INVOCATION_LOG_URL": url}
    sources = LogSources(load_settings({"TENANTRY_HOME": str(home), **told}), world.keeper)
    await sources.refresh()
    return sources


async def unknown(
    world: World, who: Principal, region: str = POOL.region, usage: Usage | None = None
) -> Reservation:
    made = await world.admitted(who, first=intent(region=region))
    await world.settle(made, AttemptOutcome(0, 1, "unknown", usage=usage or Usage()))
    return made


async def gone(world: World) -> set[str]:
    rows = await world.fetch("SELECT jsonb_object_keys(gone) FROM log_reading")
    return {row[0] for row in rows}


def names(bucket_name: str, region: str = POOL.region) -> str:
    return f"{POOL.account} {region} s3://{bucket_name}"


@pytest.mark.parametrize("eu_is", ["delivered", "empty", "away"])
def test_each_region_of_an_account_has_a_log_of_its_own(
    database: Database, bucket: S3Server, tmp_path: Path, eu_is: str
) -> None:
    """Bert's calls are logged in the first region, Anna's in the other."""

    async def body(world: World) -> None:
        eu = dataclasses.replace(
            POOL, id="zz-eu", region=EU, regions=frozenset({EU}), invocation_log=EU_LOG
        )
        await world.control.apply_placement(US_LOG)
        await world.control.apply_placement(eu)
        other, mine = await unknown(world, world.bert), await unknown(world, world.anna, EU)
        bucket.objects[f"us-logs/{key(datetime.now(UTC))}"] = packed(record(other))
        name = f"eu-logs/{key(datetime.now(UTC), region=EU)}"
        if eu_is != "empty":
            whole = packed(record(mine))
            bucket.objects[name] = whole if eu_is == "delivered" else whole[:-10]
        sources = await opened(world, tmp_path)
        assert set(sources) == {EMBEDDED, names("us-logs"), names("eu-logs", EU)}
        await Process(world, sources).round("read-logs", "write-off")
        ended = {"delivered": {"anna": "settled"}, "empty": {"anna": "written_off"}, "away": {}}
        assert await endings(world) == {"bert": "settled", **ended[eu_is]}
        assert [(each.account, each.region) for each in await waiting(world)] == (
            [(POOL.account, EU)] if eu_is == "away" else []
        )

    in_world(database, body)


def test_a_region_that_no_log_is_named_of_is_as_an_account_without_one(
    database: Database, bucket: S3Server, tmp_path: Path
) -> None:
    """Settled by what was seen of it. A bucket that has its files all the same is its log."""

    async def body(world: World) -> None:
        regions = frozenset({POOL.region, EU, COPIED})
        await world.control.apply_placement(dataclasses.replace(US_LOG, regions=regions))
        seen = Usage(uncached_in=10, out=5)
        await unknown(world, world.anna, EU, seen)
        kept = await unknown(world, world.bert, COPIED, seen)
        bucket.objects[f"us-logs/{key(datetime.now(UTC), region=COPIED)}"] = packed(record())
        process = Process(world, await opened(world, tmp_path), timedelta(hours=1))
        await process.round("estimate")
        assert await endings(world) == {"anna": "settled"}
        assert [each.region for each in await waiting(world)] == [COPIED]
        bucket.objects[f"us-logs/{key(datetime.now(UTC), region=COPIED)}"] = packed(record(kept))
        await process.round("read-logs")
        assert await world.sums(world.bert) == SUMS

    in_world(database, body)


@pytest.mark.parametrize("by", ["placement", "settings"])
def test_what_began_before_a_log_moved_is_told_of_in_the_old_one(
    database: Database, bucket: S3Server, tmp_path: Path, by: str
) -> None:
    """By a worker that began after that, too."""

    async def move(world: World, to: str) -> LogSources:
        if by == "settings":
            return await opened(world, tmp_path, f"s3://{to}")
        await world.control.apply_placement(dataclasses.replace(POOL, invocation_log=f"s3://{to}"))
        return await opened(world, tmp_path)

    async def body(world: World) -> None:
        mine, _ = await unknown(world, world.anna), await unknown(world, world.bert)
        for each in ("old", "new"):
            bucket.objects[f"{each}/{key(datetime.now(UTC))}"] = packed(record())
        await Process(world, await move(world, "old"), NOW).round("read-logs")
        bucket.objects[f"old/{key(datetime.now(UTC))}"] = packed(record(mine))
        sources = await move(world, "new")
        assert len(sources) == 3
        await Process(world, sources).round("read-logs", "write-off")
        assert await endings(world) == {"anna": "settled", "bert": "written_off"}
        assert await world.sums() == SUMS
        await sources.refresh()
        assert len(sources) == 2, "nothing from before waits any more"
        await unknown(world, world.bert)
        await Process(world, sources, NOW).round("read-logs")
        await sources.refresh()
        assert len(sources) == 3, "for an hour: somebody may set Bedrock to the new one later"

    in_world(database, body)


def test_an_old_log_that_cannot_be_read_is_waited_for_until_an_operators_word(
    database: Database, bucket: S3Server, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        await world.control.apply_placement(US_LOG)
        await unknown(world, world.anna)
        sources = await opened(world, tmp_path)
        await Process(world, sources, NOW).round("read-logs")
        bucket.objects[f"us-logs/{key(datetime.now(UTC))}"] = b"not whole"
        await world.control.apply_placement(dataclasses.replace(POOL, invocation_log="s3://new"))
        await sources.refresh()
        await Process(world, sources).round("write-off")
        assert await endings(world) == {}
        [held] = await waiting(world)
        assert held.logs == {names("us-logs"), names("new")}
        assert held.problem.startswith(f"{names('us-logs')}: AWSLogs/")
        del sources[names("us-logs")]  # as one that was never opened again
        await Process(world, sources).round("write-off")
        assert await endings(world) == {}
        [held] = await waiting(world)
        assert held.problem == f"{names('us-logs')}: {GONE}"
        assert await world.keeper.give_up(datetime.now(UTC), POOL.account) == 1
        await sources.refresh()
        await unknown(world, world.bert)
        await Process(world, sources).round("write-off")
        assert await endings(world) == {"anna": "written_off", "bert": "written_off"}

    in_world(database, body)


def test_an_operators_word_holds_although_the_old_log_is_still_open(
    database: Database, bucket: S3Server, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        await world.control.apply_placement(US_LOG)
        await unknown(world, world.anna)
        sources = await opened(world, tmp_path)
        await Process(world, sources, NOW).round("read-logs")
        await world.control.apply_placement(POOL)
        await sources.refresh()
        await Process(world, sources).round("write-off")
        assert [each.problem for each in await waiting(world)] == [NONE_ANY_MORE]
        bucket.objects[f"us-logs/{key(datetime.now(UTC))}"] = b"not whole"
        assert await world.keeper.give_up(datetime.now(UTC), POOL.account) == 1
        await unknown(world, world.bert)
        assert names("us-logs") in sources
        await Process(world, sources).round("write-off")
        assert await endings(world) == {"anna": "written_off", "bert": "written_off"}

    in_world(database, body)


def test_what_began_after_a_log_moved_waits_for_the_new_one_alone(
    database: Database, bucket: S3Server, tmp_path: Path
) -> None:
    """Although a file of the old one can never be read."""

    async def body(world: World) -> None:
        await world.control.apply_placement(US_LOG)
        await unknown(world, world.anna)
        sources = await opened(world, tmp_path)
        await Process(world, sources, NOW).round("read-logs")
        await world.control.apply_placement(dataclasses.replace(POOL, invocation_log="s3://new"))
        bucket.objects[f"us-logs/{key(datetime.now(UTC))}"] = b"not whole"
        await sources.refresh()
        assert names("us-logs") in sources
        mine = await unknown(world, world.bert)
        bucket.objects[f"new/{key(datetime.now(UTC))}"] = packed(record(mine))
        await world.as_superuser(MOVED, names("us-logs"), LATER)
        await Process(world, sources).round("write-off")
        assert await endings(world) == {"anna": "written_off", "bert": "settled"}
        await sources.refresh()
        assert set(sources) == {EMBEDDED, names("new")}

    in_world(database, body)


def test_an_operators_word_holds_for_a_process_that_has_not_looked_since(
    database: Database, bucket: S3Server, tmp_path: Path
) -> None:
    """One process looks which logs there are before the other, which has the lost one open."""

    async def body(world: World) -> None:
        await world.control.apply_placement(US_LOG)
        await unknown(world, world.anna)
        one = await opened(world, tmp_path)
        await Process(world, one, NOW).round("read-logs")
        bucket.objects[f"us-logs/{key(datetime.now(UTC))}"] = b"not whole"
        await world.control.apply_placement(dataclasses.replace(POOL, invocation_log="s3://new"))
        two = await opened(world, tmp_path)
        await one.refresh()
        await two.refresh()
        await Process(world, two).round("write-off")
        assert await world.keeper.give_up(datetime.now(UTC), POOL.account) == 1
        await unknown(world, world.bert)
        await one.refresh()
        readings = PostgresLogReadings(world.databases.control)
        both = frozenset({names("us-logs"), names("new")})
        await readings.note_away(POOL.account, POOL.region, both, datetime.now(UTC), "it was away")
        assert [each.logs for each in await waiting(world)] == [{names("new")}], (
            "by a round that had begun before that word"
        )
        await Process(world, two).round("write-off")
        assert await endings(world) == {"anna": "written_off", "bert": "written_off"}
        for each in (one, two):
            await each.refresh()
            assert set(each) == {EMBEDDED, names("new")}
        await unknown(world, world.bert)
        await world.control.apply_placement(US_LOG)
        await two.refresh()
        await Process(world, two).round("read-logs")
        [held] = await waiting(world)
        assert held.problem.startswith(f"{names('us-logs')}: "), "it is set up again"

    in_world(database, body)


def test_what_is_under_way_since_before_a_log_moved_is_told_of_in_the_old_one(
    database: Database, bucket: S3Server, tmp_path: Path
) -> None:
    """Although what began later has been told of in the new one alone, and the old one is away."""

    async def body(world: World) -> None:
        await world.control.apply_placement(US_LOG)
        mine, between = await world.admitted(world.anna, first=intent()), datetime.now(UTC)
        await unknown(world, world.bert)
        sources = await opened(world, tmp_path)
        await Process(world, sources, NOW).round("read-logs")
        await world.control.apply_placement(dataclasses.replace(POOL, invocation_log="s3://new"))
        await sources.refresh()
        await world.as_superuser(MOVED_AT, names("us-logs"), between - HOUR)
        await Process(world, sources).round("write-off")
        assert await endings(world) == {"bert": "written_off"}
        await sources.refresh()
        await world.settle(mine, AttemptOutcome(0, 1, "unknown"))
        del sources[names("us-logs")]
        await Process(world, sources).round("write-off")
        assert [each.problem for each in await waiting(world)] == [f"{names('us-logs')}: {GONE}"]
        bucket.objects[f"us-logs/{key(datetime.now(UTC))}"] = packed(record(mine))
        await sources.refresh()
        await Process(world, sources).round("write-off")
        assert await endings(world) == {"anna": "settled", "bert": "written_off"}

    in_world(database, body)


def test_what_is_remembered_of_logs_that_are_gone_has_an_end(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        await unknown(world, world.anna)
        sources = await opened(world, tmp_path)
        process = Process(world, sources)
        await world.keeper.note_gone([])
        for turn in range(2):
            named = [f"{POOL.account} {POOL.region} s3://{turn}-{each}" for each in range(40)]
            await world.as_superuser(LOST, POOL.account, POOL.region, named)
            await world.keeper.note_gone([EMBEDDED])
            assert len(await gone(world)) == (40 if turn == 0 else 40 + FORGOTTEN_MAX)
            await world.keeper.give_up(datetime.now(UTC) - LATER, POOL.account)
            assert len(kept := await gone(world)) == FORGOTTEN_MAX
            assert kept <= set(named), "the last ones that were said"
        await world.as_superuser(LOST, POOL.account, POOL.region, [names("old")])
        await world.keeper.note_gone([EMBEDDED])
        await process.round("write-off")
        assert names("old") in await gone(world)
        await world.as_superuser(BEGAN, -3 * DAY)
        await world.as_superuser(MOVED, names("old"), 2 * DAY)
        await world.as_superuser(LOST, POOL.account, POOL.region, [EMBEDDED])
        await world.keeper.note_gone([EMBEDDED])
        assert names("old") in await gone(world), "Anna's may be told of there"
        await world.as_superuser(BEGAN, 3 * DAY)
        await world.keeper.give_up(datetime.now(UTC), POOL.account)
        await world.as_superuser(MOVED, names("old"), 2 * DAY)
        await world.keeper.note_gone([EMBEDDED])
        assert await gone(world) == set()

    in_world(database, body)


@pytest.mark.parametrize("first", ["with it", "without it"])
def test_the_bucket_of_all_that_an_older_version_noted_is_the_one_of_now(
    database: Database, bucket: S3Server, tmp_path: Path, first: str
) -> None:
    """Nothing is written off unread where a start lacks it; once it is named, all goes on."""

    async def body(world: World) -> None:
        mine, _ = await unknown(world, world.anna), await unknown(world, world.bert)
        await world.as_superuser(LOST, POOL.account, POOL.region, [EMBEDDED, "settings"])
        bucket.objects[f"ours/{key(datetime.now(UTC))}"] = packed(record(mine))
        if first == "without it":
            await Process(world, await opened(world, tmp_path)).round("write-off")
            assert await endings(world) == {}
            assert [each.problem for each in await waiting(world)] == [NONE_ANY_MORE]
        sources = await opened(world, tmp_path, "s3://ours")
        await Process(world, sources).round("write-off")
        assert await endings(world) == {"anna": "settled", "bert": "written_off"}
        assert await gone(world) == set()

    in_world(database, body)
