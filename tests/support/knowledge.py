"""Parts for knowledge tests: a clock, two tenants, an embedder of words, a manifest in memory."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import numpy as np
from tests.support.postgres import Database

from tenantry.adapters.keys.local_keyring import LocalKeyring
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.sealed.partitions import SealedPartitions
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.domain.chunk import Chunk
from tenantry.domain.document import Card, DocumentLimits, DocumentRow, DocumentState, Home
from tenantry.domain.errors import Conflict, QuotaExceeded
from tenantry.domain.ids import ApiKeyId, DocumentId, SegmentId, TenantId
from tenantry.domain.placement import Placement
from tenantry.domain.plan import Plan
from tenantry.domain.tenant import Principal, Tenant, TenantStatus
from tenantry.ports.manifest import Inserted, Live, NewSegment, Partition, Removed, SegmentRow
from tenantry.ports.vectors import Embedded

DIMENSIONS = 256
MODEL = "test.words-v1"
POOL = "111111111111"
SILO = "222222222222"


class RealClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def random(self, count: int) -> bytes:
        return secrets.token_bytes(count)


class WordEmbedder:
    """A deterministic bag of words: texts that share words are near. Counts what it was asked."""

    def __init__(self, dimensions: int = DIMENSIONS) -> None:
        self.dimensions = dimensions
        self.calls: list[tuple[TenantId, int, str]] = []

    async def embed(
        self, principal: Principal, texts: Sequence[str], purpose: str, request: object | None
    ) -> list[list[float]]:
        self.calls.append((principal.tenant_id, len(texts), purpose))
        return [vector_of(text, self.dimensions) for text in texts]


def vector_of(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    vector = np.full(dimensions, 1e-3)
    for word in text.lower().split():
        seed = int.from_bytes(hashlib.sha256(word.strip(".,?!").encode()).digest()[:8], "big")
        vector += np.random.default_rng(seed).standard_normal(dimensions)
    return [float(x) for x in vector / np.linalg.norm(vector)]


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


def parts(root: Path) -> Parts:
    files, clock = DurableFiles(), RealClock()
    accounts = root / "accounts"
    kms = LocalKms(accounts, files)
    keys = LocalKeyring(accounts, files, kms, clock.monotonic)
    return Parts(root, files, DiskObjects(accounts, files), kms, keys, TenantSealer(keys), clock)


def partitions(own: Parts, manifest: object, **options: int) -> SealedPartitions:
    return SealedPartitions(manifest, own.objects, own.keys, own.clock, **options)  # type: ignore[arg-type]


@dataclasses.dataclass
class _Held:
    generation: int = 0
    model: str = ""
    dimensions: int = 0
    rows: dict[DocumentId, DocumentRow] = dataclasses.field(default_factory=dict)
    segments: dict[SegmentId, NewSegment] = dataclasses.field(default_factory=dict)
    claims: dict[DocumentId, float] = dataclasses.field(default_factory=dict)
    live: dict[DocumentId, tuple[SegmentId, int]] = dataclasses.field(default_factory=dict)


class MemoryManifest:
    """`ports.manifest.Manifest` in memory; the contract suite holds it to PostgreSQL's."""

    def __init__(self) -> None:
        self._tenants: dict[TenantId, _Held] = {}

    def _of(self, tenant_id: TenantId) -> _Held:
        return self._tenants.setdefault(tenant_id, _Held())

    async def insert(
        self, tenant_id: TenantId, row: DocumentRow, limits: DocumentLimits, lease_s: float
    ) -> Inserted:
        held = self._of(tenant_id)
        same = await self.by_content(tenant_id, row.content_hmac)
        if same is not None and same.state is not DocumentState.FAILED:
            return Inserted(same, False)
        if same is not None:
            del held.rows[same.id]
        count = len(held.rows) + 1
        size = sum(item.original_bytes for item in held.rows.values()) + row.original_bytes
        if limits.documents_max is not None and count > limits.documents_max:
            raise QuotaExceeded("Too many documents.", limit="documents_max")
        if limits.storage_bytes_max is not None and size > limits.storage_bytes_max:
            raise QuotaExceeded("Too much storage.", limit="storage_max_mb")
        held.rows[row.id] = row
        held.claims[row.id] = time.monotonic() + lease_s
        return Inserted(row, True)

    async def by_content(self, tenant_id: TenantId, content_hmac: bytes) -> DocumentRow | None:
        rows = self._of(tenant_id).rows.values()
        return next((row for row in rows if row.content_hmac == content_hmac), None)

    async def document(self, tenant_id: TenantId, document_id: DocumentId) -> DocumentRow | None:
        return self._of(tenant_id).rows.get(document_id)

    async def documents(
        self, tenant_id: TenantId, after: DocumentId | None, limit: int
    ) -> list[DocumentRow]:
        rows = sorted(self._of(tenant_id).rows.values(), key=lambda row: row.id, reverse=True)
        return [row for row in rows if after is None or row.id < after][:limit]

    async def claim(self, tenant_id: TenantId, limit: int, lease_s: float) -> list[DocumentRow]:
        held, now = self._of(tenant_id), time.monotonic()
        free = [
            row
            for row in sorted(held.rows.values(), key=lambda row: row.id)
            if row.state is DocumentState.INDEXING and held.claims.get(row.id, 0.0) < now
        ][:limit]
        held.claims |= {row.id: now + lease_s for row in free}
        return free

    async def keep(self, tenant_id: TenantId, document_id: DocumentId, lease_s: float) -> bool:
        held = self._of(tenant_id)
        document = held.rows.get(document_id)
        if document is None or document.state is not DocumentState.INDEXING:
            return False
        held.claims[document_id] = time.monotonic() + lease_s
        return True

    async def generation(self, tenant_id: TenantId) -> int:
        return self._of(tenant_id).generation

    async def partition(self, tenant_id: TenantId) -> Partition:
        held = self._of(tenant_id)
        segments = []
        for item in held.segments.values():
            mine = {d: rows for d, (segment, rows) in held.live.items() if segment == item.id}
            segments.append(
                SegmentRow(
                    item.id,
                    item.generation,
                    item.dimensions,
                    item.rows,
                    sum(mine.values()),
                    item.size_bytes,
                    frozenset(mine),
                )
            )
        return Partition(held.generation, held.model, tuple(segments))

    async def live(
        self,
        tenant_id: TenantId,
        segments: Sequence[SegmentId] = (),
        documents: Sequence[DocumentId] = (),
    ) -> Live:
        held = self._of(tenant_id)
        found: dict[SegmentId, frozenset[DocumentId]] = {}
        for document_id, (segment, _) in held.live.items():
            if segment in segments or document_id in documents:
                found[segment] = found.get(segment, frozenset()) | {document_id}
        return Live(held.generation, held.model, held.dimensions, found)

    async def publish(
        self, tenant_id: TenantId, segment: NewSegment, document_id: DocumentId
    ) -> bool:
        held = self._of(tenant_id)
        document = held.rows.get(document_id)
        if document is None or document.state is not DocumentState.INDEXING:
            return False
        if held.segments and (held.model, held.dimensions) != (segment.model, segment.dimensions):
            raise Conflict("Another model.")
        held.model, held.dimensions = segment.model, segment.dimensions
        held.segments[segment.id] = segment
        held.live[document_id] = (segment.id, segment.rows)
        held.rows[document_id] = dataclasses.replace(
            document, state=DocumentState.READY, passages=segment.rows
        )
        held.generation += 1
        return True

    async def fail(self, tenant_id: TenantId, document_id: DocumentId, code: str) -> None:
        held = self._of(tenant_id)
        document = held.rows.get(document_id)
        if document is not None and document.state is DocumentState.INDEXING:
            held.rows[document_id] = dataclasses.replace(
                document, state=DocumentState.FAILED, failure=code
            )

    async def remove(self, tenant_id: TenantId, document_id: DocumentId) -> Removed | None:
        held = self._of(tenant_id)
        document = held.rows.pop(document_id, None)
        if document is None:
            return None
        held.live.pop(document_id, None)
        held.generation += 1
        return Removed(document, self._drop_empty(held))

    async def merge(
        self, tenant_id: TenantId, sources: Sequence[SegmentId], segment: NewSegment
    ) -> bool:
        held = self._of(tenant_id)
        if any(source not in held.segments for source in sources):
            return False
        held.segments[segment.id] = segment
        for document_id, (source, rows) in list(held.live.items()):
            if source in sources:
                held.live[document_id] = (segment.id, rows)
        for source in sources:
            del held.segments[source]
        self._drop_empty(held)
        held.generation += 1
        return True

    async def objects(self, tenant_id: TenantId) -> frozenset[str]:
        held = self._of(tenant_id)
        return frozenset(held.segments) | {row.original_id for row in held.rows.values()}

    def _drop_empty(self, held: _Held) -> tuple[SegmentId, ...]:
        used = {segment for segment, _ in held.live.values()}
        empty = tuple(name for name in held.segments if name not in used)
        for name in empty:
            del held.segments[name]
        return empty


def home(owner: Tenant) -> Home:
    own = owner.placement.kms_key == "own"
    return Home(owner.id, owner.placement.account, own)


async def add_tenants(database: Database, *tenant_ids: str) -> None:
    """Rows for tenants that tests make up, by the database's own superuser."""
    connection = await asyncpg.connect(database.dsn("superuser"))
    try:
        for tenant_id in tenant_ids:
            await connection.execute(
                "INSERT INTO tenantry.tenant (tenant_id, name, plan) VALUES ($1, $1, 'free')",
                tenant_id,
            )
    finally:
        await connection.close()
