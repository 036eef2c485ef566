"""The vector engine that the settings name."""

from __future__ import annotations

import contextlib
from typing import assert_never

from tenantry.adapters.keys.keyring import Keyring
from tenantry.adapters.postgres.connections import LoginDsnFor
from tenantry.adapters.postgres.pgvector import open_pgvector
from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.adapters.sealed.partitions import SealedPartitions
from tenantry.adapters.vectors import opensearch, pinecone, weaviate
from tenantry.adapters.vectors.engine import Engine
from tenantry.adapters.vectors.partitions import EnginePartitions
from tenantry.adapters.vectors.pgvector import Pgvector
from tenantry.bootstrap.deployment import objects_of, secret_of
from tenantry.config import Settings
from tenantry.ports.clock import Clock
from tenantry.ports.keys import Sealer
from tenantry.ports.manifest import Manifest
from tenantry.ports.vectors import Vectors


async def vectors_of(
    config: Settings,
    dsn_for: LoginDsnFor,
    manifest: Manifest,
    keyring: Keyring,
    sealer: Sealer,
    clock: Clock,
    stack: contextlib.AsyncExitStack,
) -> Vectors:
    """Sealed partitions over the data folder, or the engine; closed by the stack."""
    if config.vectors == "sealed":
        sealed = SealedPartitions(
            manifest,
            objects_of(config),
            keyring,
            clock,
            open_bytes_max=config.segment_cache_max_bytes,
        )
        stack.callback(sealed.close)
        keyring.on_loss(sealed.forget)
        return sealed
    partitions = EnginePartitions(await _engine(config, dsn_for), manifest, keyring, sealer, clock)
    stack.push_async_callback(partitions.close)
    keyring.on_loss(partitions.forget)
    return partitions


async def _engine(config: Settings, dsn_for: LoginDsnFor) -> Engine:
    assert config.vectors != "sealed"
    if config.vectors == "pgvector":
        pool = await open_pgvector(
            lambda: config.pgvector_url or dsn_for("app"),
            secret_of(config, "database-secret"),
            "tenantry gateway",
        )
        sql = statements("sql/pgvector.sql")
        indexed = config.pgvector_index == "hnsw"
        return Pgvector(TenantWork(pool), sql, pool.close, indexed=indexed)
    if config.vectors == "opensearch":
        url = config.opensearch_url or ""
        return opensearch.OpenSearch(opensearch.connect(url, config.outside_ca_bundle))
    if config.vectors == "pinecone":
        host, api_key = config.pinecone_host or "", config.pinecone_api_key or ""
        return pinecone.Pinecone(pinecone.connect(host, api_key))
    if config.vectors == "weaviate":
        url, grpc_url = config.weaviate_url or "", config.weaviate_grpc_url or ""
        return weaviate.Weaviate(weaviate.connect(url, grpc_url, config.weaviate_api_key))
    assert_never(config.vectors)
