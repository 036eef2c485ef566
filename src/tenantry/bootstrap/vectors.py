"""The vector engine that the settings name, and those of before that are configured beside it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from tenantry.adapters.keys.keyring import Keyring
from tenantry.adapters.postgres.connections import LoginDsnFor
from tenantry.adapters.postgres.pgvector import open_pgvector
from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.adapters.postgres.vector_rooms import PostgresVectorRooms
from tenantry.adapters.sealed.partitions import SealedPartitions
from tenantry.adapters.vectors import opensearch, pinecone, weaviate
from tenantry.adapters.vectors.engine import Engine
from tenantry.adapters.vectors.partitions import EnginePartitions
from tenantry.adapters.vectors.pgvector import Pgvector
from tenantry.adapters.vectors.tracked import TrackedVectors
from tenantry.bootstrap.checks.vectors import EngineName, configured_engines
from tenantry.bootstrap.deployment import secret_of
from tenantry.bootstrap.failures import told
from tenantry.config import Settings, variable_of
from tenantry.domain.document import Home
from tenantry.domain.ids import TenantId
from tenantry.domain.placement import NO_ACCOUNT
from tenantry.ports.clock import Clock
from tenantry.ports.keys import Sealer
from tenantry.ports.manifest import Manifest
from tenantry.ports.objects import Objects
from tenantry.ports.vectors import Vectors


@dataclass(frozen=True, slots=True)
class VectorParts:
    """What passages are put, found and opened with."""

    work: TenantWork
    manifest: Manifest
    keyring: Keyring
    sealer: Sealer
    clock: Clock
    objects: Objects


async def vectors_of(
    config: Settings, dsn_for: LoginDsnFor, parts: VectorParts, stack: contextlib.AsyncExitStack
) -> Vectors:
    """Sealed partitions over the data folder, or the engine; closed by the stack."""
    engines = configured_engines(config)

    def over(engine: Engine) -> EnginePartitions:
        return EnginePartitions(engine, parts.manifest, parts.keyring, parts.sealer, parts.clock)

    present: SealedPartitions | EnginePartitions
    if config.vectors == "sealed":
        present = SealedPartitions(
            parts.manifest,
            parts.objects,
            parts.keyring,
            parts.clock,
            open_bytes_max=config.segment_cache_max_bytes,
        )
        stack.callback(present.close)
    else:
        present = over(await _engine(config.vectors, config, dsn_for))
        stack.push_async_callback(present.close)
    parts.keyring.on_loss(present.forget)
    tracked = TrackedVectors(
        present,
        None if config.vectors == "sealed" else config.vectors,
        {
            name: partial(_engine, name, config, dsn_for)
            for name in engines
            if name != config.vectors
        },
        PostgresVectorRooms(parts.work),
        parts.manifest,
        over,
    )
    stack.push_async_callback(tracked.close)
    return tracked


async def engine_problems(config: Settings, dsn_for: LoginDsnFor | None) -> list[str]:
    """A line where the engine does not answer; the room of a tenant that never was is looked for.

    `dsn_for` None: our own database does not run, and an engine in it cannot be asked.
    """
    if config.vectors == "sealed":
        return []
    if config.vectors == "pgvector" and config.pgvector_url is None and dsn_for is None:
        return []
    try:
        engine = await _engine(config.vectors, config, dsn_for or _nowhere)
        try:
            await engine.room(Home(TenantId("doctor"), NO_ACCOUNT)).segments()
        finally:
            await engine.close()
    except Exception as failure:
        message = told(failure)
        if message is None:
            raise
        return [f"{variable_of('vectors')}={config.vectors}: {message}"]
    return []


def _nowhere(_: object) -> str:
    raise AssertionError("an engine of its own needs no address of ours")


async def _engine(name: EngineName, config: Settings, dsn_for: LoginDsnFor) -> Engine:
    """In a thread: a client's modules, and the certificates it reads, take a second and more."""
    if name == "pgvector":
        pool = await open_pgvector(
            lambda: config.pgvector_url or dsn_for("app"),
            secret_of(config, "database-secret"),
            "tenantry gateway",
        )
        sql = statements("sql/pgvector.sql")
        indexed = config.pgvector_index == "hnsw"
        return Pgvector(TenantWork(pool), sql, pool.close, indexed=indexed)
    if name == "opensearch":
        url = config.opensearch_url or ""
        client = await asyncio.to_thread(opensearch.connect, url, config.outside_ca_bundle)
        return opensearch.OpenSearch(client)
    if name == "pinecone":
        host, api_key = config.pinecone_host or "", config.pinecone_api_key or ""
        return pinecone.Pinecone(await asyncio.to_thread(pinecone.connect, host, api_key))
    if name == "weaviate":
        url, grpc_url = config.weaviate_url or "", config.weaviate_grpc_url or ""
        client = await asyncio.to_thread(weaviate.connect, url, grpc_url, config.weaviate_api_key)
        return weaviate.Weaviate(client)
    assert_never(name)
