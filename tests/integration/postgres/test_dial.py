"""Which servers and sessions are refused before their first use."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg
import pytest
from tests.support.postgres import Database

from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.dial import connect, prove
from tenantry.adapters.postgres.errors import EncodingUnfit, PoolerBetween, ServerTooOld
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.domain.errors import Unavailable

GOOD = {"server_version": "16.4", "server_encoding": "UTF8", "in_hot_standby": "off"}


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def welcome(**reported: str) -> bytes:
    """What a server says of itself to who needs no password."""
    told = [f"{name}\0{value}\0".encode() for name, value in {**GOOD, **reported}.items()]
    statuses = [message(b"S", each) for each in told]
    parts = [message(b"R", b"\0" * 4), *statuses, message(b"K", b"\0" * 8), message(b"Z", b"I")]
    return b"".join(parts)


def refusal(sqlstate: str, words: str) -> bytes:
    fields = {"S": "ERROR", "V": "ERROR", "C": sqlstate, "M": words}
    return message(b"E", "".join(f"{k}{v}\0" for k, v in fields.items()).encode() + b"\0")


class Answering(asyncio.Protocol):
    """Answers whoever begins a session, and knows no function that it is asked for then."""

    def __init__(self, answer: bytes, opened: list[asyncio.Transport]) -> None:
        self._answer, self._opened = answer, opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._opened.append(transport)

    def data_received(self, data: bytes) -> None:
        self._opened[-1].write(self._answer)
        self._answer = refusal("42883", "no such function") + message(b"Z", b"I")


@contextlib.asynccontextmanager
async def server(answer: bytes) -> AsyncIterator[str]:
    """The address of one that answers so."""
    opened: list[asyncio.Transport] = []
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Answering(answer, opened), "127.0.0.1", 0)
    async with listening:
        host, port = listening.sockets[0].getsockname()
        yield f"{host}:{port}"
        for transport in opened:
            transport.abort()


def dial(*answers: bytes, **options: Any) -> None:
    """A connection to the first of these servers that will do."""

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            hosts = [await stack.enter_async_context(server(answer)) for answer in answers]
            url = f"postgresql://one@{','.join(hosts)}/product?sslmode=disable"
            with outages_are_unavailable():
                connection = await connect(url, timeout=5, **options)
            connection.terminate()

    asyncio.run(run())


def test_a_server_that_will_do_is_taken() -> None:
    dial(welcome())


def test_an_old_server_is_named() -> None:
    with pytest.raises(ServerTooOld, match="PostgreSQL 15"):
        dial(welcome(server_version="15.8"))


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_every_text_is_named(encoding: str) -> None:
    with pytest.raises(EncodingUnfit, match=encoding):
        dial(welcome(server_encoding=encoding))


def test_a_standby_is_passed_over_and_alone_is_an_outage() -> None:
    standby = welcome(in_hot_standby="on")
    dial(standby, welcome())
    with pytest.raises(Unavailable):
        dial(standby)


def test_a_pooler_that_takes_no_settings_is_named() -> None:
    answer = refusal("08P01", "unsupported startup parameter: search_path")
    with pytest.raises(PoolerBetween):
        dial(answer, server_settings={"search_path": "tenantry"})


@pytest.mark.parametrize(
    ("settings", "is_ours"), [({}, False), ({"statement_timeout": "9000"}, True)]
)
def test_a_session_without_its_settings_is_a_poolers(
    database: Database, settings: Mapping[str, str], is_ours: bool
) -> None:
    async def run() -> None:
        connection = await connect(database.dsn("app"), server_settings=settings)
        try:
            # As it would come with a pooler that takes settings and passes none on.
            await connection.execute("SET statement_timeout = 9000")
            await connection.execute("RESET statement_timeout")
            with contextlib.nullcontext() if is_ours else pytest.raises(PoolerBetween):
                await prove(connection)
        finally:
            await connection.close()

    asyncio.run(run())


def test_a_database_that_takes_no_writes_is_an_outage_until_it_does(database: Database) -> None:
    async def run() -> None:
        admin = await asyncpg.connect(database.dsn("superuser"))
        read_only = f"ALTER DATABASE {database.name} SET default_transaction_read_only"
        databases = await Databases.open(database.dsn)
        try:
            await admin.execute(f"{read_only} = on")
            with pytest.raises(Unavailable, match="no writes"):
                await databases.open_pinned("app")
            await admin.execute(f"SET default_transaction_read_only = off; {read_only} = off")
            (await databases.open_pinned("app")).terminate()
        finally:
            databases.terminate()
            await admin.close()

    asyncio.run(run())
