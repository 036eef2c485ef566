"""Parts for knowledge tests: a clock, two tenants, an embedder of words, a manifest in memory."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
from tests.support.local_keyring import LocalKeyring
from tests.support.memory_manifest import MemoryManifest as MemoryManifest
from tests.support.postgres import Database

from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.sealed.partitions import SealedPartitions
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.domain.chunk import Chunk, ChunkLimit
from tenantry.domain.document import (
    Card,
    DocumentLimits,
    DocumentRow,
    DocumentState,
    Home,
)
from tenantry.domain.ids import ApiKeyId, DocumentId, TenantId
from tenantry.domain.placement import Placement
from tenantry.domain.plan import Plan
from tenantry.domain.space import Space
from tenantry.domain.tenant import Principal, Tenant, TenantStatus
from tenantry.ports.noted_keys import NotedKeys
from tenantry.ports.vectors import Embedded

DIMENSIONS = 256
MODEL = "test.words-v1"
POOL = "111111111111"
SILO = "222222222222"
POOL_DEFINITION = f'{{"kind": "pool", "account": "{POOL}", "region": "us-east-1"}}'


class RealClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def random(self, count: int) -> bytes:
        return secrets.token_bytes(count)


class WordEmbedder:
    """A deterministic bag of words: texts that share words are near. Counts what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[TenantId, int, str]] = []
        self.spaces: list[Space] = []
        self.limits: dict[str, ChunkLimit] = {}  # of models that take less than others
        self.texts: list[tuple[str, str]] = []  # each with the model that embedded it
        self.gone: set[str] = set()  # models that cannot be called any more

    async def plan_space(self, principal: Principal) -> Space:
        plan = principal.tenant.plan
        return Space(plan.embedding_model, plan.embedding_dimensions)

    async def can_embed(self, principal: Principal, space: Space) -> bool:
        return space.model not in self.gone

    async def chunk_limit(self, principal: Principal, space: Space) -> ChunkLimit:
        return self.limits.get(space.model, ChunkLimit())

    def background(self, request_id: object) -> None:
        return None

    async def embed(
        self,
        principal: Principal,
        texts: Sequence[str],
        purpose: str,
        request: object | None,
        space: Space,
    ) -> list[list[float]]:
        self.calls.append((principal.tenant_id, len(texts), purpose))
        self.spaces.append(space)
        self.texts += [(space.model, text) for text in texts]
        return [vector_of(text, space.dimensions, space.model) for text in texts]


def vector_of(text: str, dimensions: int = DIMENSIONS, model: str = MODEL) -> list[float]:
    """Of another model the same words lie elsewhere."""
    vector = np.full(dimensions, 1e-3)
    for word in text.lower().split():
        vector += _vector_of_word(word.strip(".,?!"), dimensions, model)
    found: list[float] = (vector / np.linalg.norm(vector)).tolist()
    return found


@functools.lru_cache(maxsize=10_000)
def _vector_of_word(word: str, dimensions: int, model: str) -> Any:
    seed = int.from_bytes(hashlib.sha256((model + word).encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(dimensions)


def tenant(name: str, *, silo: bool = False, **plan: object) -> Tenant:
    placement = Placement(
        id="silo" if silo else "pool",
        kind="silo" if silo else "pool",
        account=SILO if silo else POOL,
        region="us-east-1",
        kms_key="own" if silo else "shared",
    )
    fields = {"embedding_model": MODEL, "embedding_dimensions": DIMENSIONS, **plan}
    return Tenant(TenantId(name), name, TenantStatus.ACTIVE, Plan(name="test", **fields), placement)


def principal(owner: Tenant) -> Principal:
    return Principal(owner, ApiKeyId(f"key_{owner.id}"))


def embedded(document_id: str, texts: Sequence[str], **card: object) -> Embedded:
    chunks, position = [], 0
    for text in texts:
        chunks.append(Chunk(position, position + len(text), text))
        position += len(text) + 1
    fields = {"title": f"Title of {document_id}", "content_type": "text/plain", **card}
    return Embedded(
        DocumentId(document_id),
        Card(**fields),
        MODEL,
        chunks,
        [vector_of(text) for text in texts],
    )


def row(document_id: str, content: bytes = b"") -> DocumentRow:
    now = datetime.now(UTC)
    digest = hashlib.sha256(content or document_id.encode()).digest()
    return DocumentRow(
        DocumentId(document_id),
        DocumentState.INDEXING,
        digest,
        f"obj_{document_id}",
        ApiKeyId("key_test"),
        100,
        0,
        now,
        now,
    )


UNLIMITED = DocumentLimits(None, None)
LEASE_S = 60.0


@dataclasses.dataclass
class Parts:
    """Everything on one disk, beside a manifest that is passed in."""

    root: Path
    files: DurableFiles
    objects: DiskObjects
    kms: LocalKms
    keys: LocalKeyring
    sealer: TenantSealer
    clock: RealClock


def parts(root: Path, noted: NotedKeys | None = None) -> Parts:
    files, clock = DurableFiles(), RealClock()
    accounts = root / "accounts"
    kms = LocalKms(accounts, files)
    keys = LocalKeyring(accounts, files, kms, clock.monotonic, noted)
    return Parts(root, files, DiskObjects(accounts, files), kms, keys, TenantSealer(keys), clock)


def partitions(own: Parts, manifest: object, **options: int) -> SealedPartitions:
    return SealedPartitions(manifest, own.objects, own.keys, own.clock, **options)  # type: ignore[arg-type]


async def ours() -> bool:
    """The objects are those of the database that a sweep reads."""
    return True


class Ours:
    """As much of `application.belonging` as tending asks for, where that is so."""

    async def holds(self) -> bool:
        return True

    async def move_on(self) -> bool:
        return True


async def settled(vectors: object) -> None:
    """An engine that tidies in the background is waited for."""
    settle = getattr(vectors, "settle", None)
    if settle is not None:
        await settle()


def home(owner: Tenant) -> Home:
    own = owner.placement.kms_key == "own"
    return Home(owner.id, owner.placement.account, own)


async def add_tenants(database: Database, *tenant_ids: str) -> None:
    """Rows for tenants that tests make up, by the database's own superuser."""
    connection = await asyncpg.connect(database.dsn("superuser"))
    try:
        await connection.execute(
            "INSERT INTO tenantry.placement (placement_id, kind, definition)"
            " VALUES ('pool', 'pool', $1) ON CONFLICT DO NOTHING",
            POOL_DEFINITION,
        )
        for tenant_id in tenant_ids:
            await connection.execute(
                "INSERT INTO tenantry.tenant (tenant_id, name, plan, placement_id)"
                " VALUES ($1, $1, 'free', 'pool')",
                tenant_id,
            )
    finally:
        await connection.close()
