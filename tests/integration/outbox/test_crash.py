"""A worker that is killed between sending and marking: twice under one id, never not at all."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
from standardwebhooks import Webhook
from tests.support.ledger import World, in_world
from tests.support.outbox import SECRET, enqueue, receiving, states, until, until_seen
from tests.support.postgres import Database
from tests.support.wire_server import Exchange

ROOT = Path(__file__).parents[3]


@contextlib.asynccontextmanager
async def worker(
    world: World, url: str, ahead_s: int = 0
) -> AsyncIterator[asyncio.subprocess.Process]:
    spec = {
        "dsn": world.database.dsn("control"),
        "url": url,
        "secret": SECRET,
        "ahead_s": ahead_s,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.delivery_process", json.dumps(spec)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def test_a_worker_killed_before_it_marks_has_another_deliver_again(database: Database) -> None:
    async def body(world: World) -> None:
        async with receiving() as receiver:
            await enqueue(world)
            holder = await asyncpg.connect(database.dsn("superuser"))
            answered = asyncio.Event()

            async def hold_the_mark(exchange: Exchange) -> None:
                """The row is locked before the answer goes out, so the mark cannot come."""
                await holder.execute("BEGIN; SELECT FROM tenantry.delivery FOR UPDATE")
                await exchange.respond(204, {}, b"")
                answered.set()

            receiver.answer = hold_the_mark
            async with worker(world, receiver.url) as first:
                await answered.wait()
                marking = (
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND wait_event_type = 'Lock' AND query LIKE '%ended_at%'"
                )
                await until_seen(lambda: world.databases.control.fetchval(marking))
                first.send_signal(signal.SIGKILL)
                await first.wait()
            # The server rolls the mark back when it finds that its client has gone.
            await holder.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            await holder.execute("ROLLBACK")
            await holder.close()
            assert [each[1] for each in await states(world)] == ["pending"]
            receiver.answer = None
            async with worker(world, receiver.url, ahead_s=60):
                await asyncio.sleep(0.2)
                assert len(receiver.posts) == 1, "the lease still holds"
            async with worker(world, receiver.url, ahead_s=121):
                await until(lambda: len(receiver.posts) == 2)
                await until_seen(
                    lambda: world.databases.control.fetchval(
                        "SELECT state = 'delivered' FROM delivery"
                    )
                )
            assert len(set(receiver.ids())) == 1
            Webhook(SECRET).verify(receiver.posts[0].body, receiver.posts[0].headers)
            assert receiver.posts[0].body == receiver.posts[1].body

    in_world(database, body)
