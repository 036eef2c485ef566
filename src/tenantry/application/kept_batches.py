"""Embedding a document's chunks in batches, each kept until all are published.

What is embedded is paid for. A batch is sealed, stored and named by the manifest before the next
one is begun, so that whoever goes on after a crash, a refusal or a spent budget embeds at most one
batch again. A document of one batch has nothing to keep: it is published at once.

What a document's version before has embedded already is carried over into the one that replaces
it: only passages of other texts are embedded and paid for.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from tenantry.application.knowledge import Knowledge
from tenantry.application.patience import Patience
from tenantry.domain.chunk import Chunk
from tenantry.domain.document import Home
from tenantry.domain.embedded_batch import compact, pack_batch, unpack_batch
from tenantry.domain.errors import Corrupt, NotFound, TenantryError, UpstreamRubbish
from tenantry.domain.space import Space
from tenantry.domain.tenant import Principal
from tenantry.ports.embedding import EMBED_BATCH
from tenantry.ports.manifest import EmbeddedBatch
from tenantry.ports.objects import ObjectKind

Vectors: TypeAlias = "list[array[float]]"
Told = Callable[[int], Awaitable[None]]  # how many passages are done; raises to stop


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays for texts that are embedded, and how long a refusal that passes is waited out."""

    principal: Principal
    request: object | None
    patience: Patience


async def embed(deps: Knowledge, payer: Payer, space: Space, texts: Sequence[str]) -> Vectors:
    """The vectors of at most one batch of texts."""
    found = await payer.patience(
        lambda: deps.embedder.embed(payer.principal, texts, "document", payer.request, space)
    )
    try:
        vectors = [compact(vector) for vector in found]
    except ValueError:
        raise UpstreamRubbish("The embedding model returned what is no vector.") from None
    if len(vectors) != len(texts) or any(len(v) != space.dimensions for v in vectors):
        raise UpstreamRubbish(
            f"The embedding model did not return vectors of {space.dimensions} dimensions."
        )
    return vectors


async def embed_chunks(
    deps: Knowledge,
    home: Home,
    content_hmac: bytes,
    chunks: Sequence[Chunk],
    payer: Payer,
    space: Space,
    told: Told,
    carried: Mapping[str, array[float]],
) -> tuple[Vectors, list[str]]:
    """All vectors of a document, and the names of the batches that were kept for it. `carried`:
    vectors in the space by their texts.
    """
    kept: dict[int, EmbeddedBatch] = {}
    if len(chunks) > EMBED_BATCH:
        found = await deps.manifest.batches(home.tenant_id, content_hmac, space)
        kept = {batch.first: batch for batch in found}
    vectors: Vectors = []
    for first in range(0, len(chunks), EMBED_BATCH):
        texts = [chunk.text for chunk in chunks[first : first + EMBED_BATCH]]
        again = await _opened(deps, home, kept.get(first), texts)
        if again is None:
            missing = [text for text in texts if text not in carried]
            fresh = iter(await embed(deps, payer, space, missing) if missing else [])
            again = [carried[text] if text in carried else next(fresh) for text in texts]
            if missing and first + len(texts) < len(chunks):
                own = _Unkept(content_hmac, space, first, again, texts)
                named = await payer.patience(partial(_keep, deps, home, own))
                kept |= {first: named} if named is not None else {}
        vectors += again
        if len(vectors) < len(chunks):
            await told(len(vectors))
    return vectors, [batch.object_id for batch in kept.values()]


async def forget_batches(deps: Knowledge, home: Home, names: Sequence[str]) -> None:
    """Delete what is published now. What this misses is swept."""
    with suppress(TenantryError):
        for name in names:
            await deps.objects.delete(home, ObjectKind.BATCH, name)


@dataclass(frozen=True, slots=True)
class _Unkept:
    content_hmac: bytes
    space: Space
    first: int
    vectors: Vectors
    texts: Sequence[str]


async def _keep(deps: Knowledge, home: Home, own: _Unkept) -> EmbeddedBatch | None:
    """A new object each time: of one whose commit went unheard nobody knows."""
    name = deps.object_id()
    plain = pack_batch(own.vectors, own.texts)
    sealed = await deps.sealer.seal(home, ObjectKind.BATCH.value, name, plain)
    await deps.objects.put(home, ObjectKind.BATCH, name, sealed)
    batch = EmbeddedBatch(own.content_hmac, own.space, own.first, len(own.texts), name)
    if await deps.manifest.keep_batch(home.tenant_id, batch):
        return batch
    await deps.objects.delete(home, ObjectKind.BATCH, name)
    return None


async def _opened(
    deps: Knowledge, home: Home, batch: EmbeddedBatch | None, texts: Sequence[str]
) -> Vectors | None:
    """What was kept of these texts; None where it is to be embedded."""
    if batch is None:
        return None
    try:
        sealed = await deps.objects.get(home, ObjectKind.BATCH, batch.object_id)
        plain = await deps.sealer.open(home, ObjectKind.BATCH.value, batch.object_id, sealed)
        return unpack_batch(plain, texts, batch.space.dimensions)
    except (NotFound, Corrupt):
        return None
