"""Pinecone: a namespace a tenant, in one index of one dimension that the operator has made.

Search is approximate as Pinecone does it. What is written is found a moment later there, so a
document is published once its log position is indexed.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from tenantry.adapters.vectors.engine import (
    CALL_TIMEOUT_S,
    SETTLE_TIMEOUT_S,
    Blocking,
    Hit,
    Row,
    RowId,
    garbled,
    misaddressed,
    refused,
    row_id_from,
    scope_of,
)
from tenantry.domain.document import Home
from tenantry.domain.errors import Conflict, TooLarge, Unavailable
from tenantry.domain.ids import SegmentId

METADATA_BYTES_MAX = 40_000  # of one record: 40 KB, docs.pinecone.io, 2026-11
REQUEST_BYTES_MAX = 1_500_000  # Pinecone takes 2 MB
_FLOAT_BYTES = 24  # as JSON, with its comma
_METADATA_BYTES = 100  # besides the sealed passage
_FOUND_MAX = 10_000  # of one query
_PAUSE_S, _PAUSE_MAX_S = 0.02, 1.0  # between two looks, doubled each time

T = TypeVar("T")


def connect(host: str, api_key: str) -> Any:
    """A client of the index at this host."""
    import pinecone

    return pinecone.Index(host=host, api_key=api_key, timeout=CALL_TIMEOUT_S)


class Pinecone:
    """`Engine`."""

    name = "pinecone"
    exact = False

    def __init__(self, index: Any) -> None:
        self._index = index
        self._blocking = Blocking(self.name)

    def room(self, home: Home) -> NamespaceRoom:
        return NamespaceRoom(self._index, self._blocking, scope_of(home))

    async def close(self) -> None:
        await self._blocking.close(self._index.close)


class NamespaceRoom:
    """`Room`: one tenant's namespace, which is never the default one."""

    def __init__(self, index: Any, blocking: Blocking, namespace: str) -> None:
        self._index = index
        self._blocking = blocking
        self._namespace = namespace
        self._written: list[float] = []  # the last row's vector, with which to look for it
        self._position: int | None = None  # in Pinecone's log, of the last row

    async def put(self, rows: Sequence[Row]) -> None:
        if not self._written:
            await self._check_index(len(rows[0].vector))
        sealed = [base64.b64encode(row.sealed).decode() for row in rows]
        if max(map(len, sealed)) + _METADATA_BYTES > METADATA_BYTES_MAX:
            raise TooLarge("The document's metadata is larger than the vector engine takes.")
        size = max(map(len, sealed)) + _METADATA_BYTES + _FLOAT_BYTES * len(rows[0].vector)
        step = max(1, REQUEST_BYTES_MAX // size)
        for first in range(0, len(rows), step):
            part = list(zip(rows, sealed, strict=True))[first : first + step]
            records = [
                {
                    "id": str(row.id),
                    "values": list(row.vector),
                    "metadata": {"segment": row.id.segment_id, "sealed": text},
                }
                for row, text in part
            ]
            await self._upsert(records)
        self._written = list(rows[-1].vector)

    async def settle(self, segment_id: SegmentId, rows: int) -> None:
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        pause_s = _PAUSE_S
        while time.monotonic() < deadline:
            only = {"segment": {"$eq": segment_id}}
            answer = await self._query(self._written, min(rows, _FOUND_MAX), only, sealed=False)
            told = answer.response_info
            if self._position is not None and told and told.is_reconciled(self._position):
                return
            if len(answer.matches) >= min(rows, _FOUND_MAX):
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_MAX_S)
        raise Unavailable("The vector engine is slow to index what was written.")

    async def search(
        self, vector: Sequence[float], limit: int, segments: Sequence[SegmentId] | None = None
    ) -> Sequence[Hit]:
        only = None if segments is None else {"segment": {"$in": list(segments)}}
        answer = await self._query(vector, limit, only, sealed=True)
        return [self._hit(item.id, item.metadata, item.score) for item in answer.matches]

    async def fetch(self, ids: Sequence[RowId], dimensions: int) -> Sequence[Hit]:
        names = [str(item) for item in ids]
        answer = await self._call(lambda: self._index.fetch(ids=names, namespace=self._namespace))
        self._check_namespace(answer)
        return [self._hit(name, item.metadata, 0.0) for name, item in answer.vectors.items()]

    async def delete(self, segments: Sequence[SegmentId]) -> None:
        only = {"segment": {"$in": list(segments)}}
        await self._call(
            lambda: self._index.delete(filter=only, namespace=self._namespace), absent=None
        )

    async def segments(self) -> Sequence[SegmentId]:
        def names() -> list[str]:
            pages = self._index.list(prefix="0_", namespace=self._namespace)
            return [item.id for page in pages for item in page.vectors]

        rows = [row_id_from(name) for name in await self._call(names, absent=[])]
        return [row.segment_id for row in rows if row is not None]

    async def drop(self) -> None:
        self._written = []
        await self._call(lambda: self._index.delete_namespace(name=self._namespace), absent=None)

    async def _check_index(self, dimensions: int) -> None:
        stats = await self._call(self._index.describe_index_stats)
        if stats.dimension not in (None, dimensions):
            raise Conflict(
                f"The Pinecone index takes {stats.dimension} dimensions; the plan's embedding "
                f"model gives {dimensions}."
            )
        if stats.metric not in (None, "cosine", "dotproduct"):
            raise Conflict("The Pinecone index compares by another metric than cosine.")

    async def _upsert(self, records: list[dict[str, Any]]) -> None:
        answer = await self._call(
            lambda: self._index.upsert(
                vectors=records, namespace=self._namespace, show_progress=False
            )
        )
        if answer.upserted_count != len(records):
            raise refused("pinecone", "a row was not stored")
        told = answer.response_info
        self._position = told.lsn_committed if told else None

    async def _query(
        self, vector: Sequence[float], limit: int, only: dict[str, Any] | None, *, sealed: bool
    ) -> Any:
        answer = await self._call(
            lambda: self._index.query(
                vector=list(vector),
                top_k=limit,
                namespace=self._namespace,
                filter=only,
                include_metadata=sealed,
            )
        )
        self._check_namespace(answer)
        return answer

    def _check_namespace(self, answer: Any) -> None:
        if answer.namespace not in (None, "", self._namespace):
            raise misaddressed()

    def _hit(self, name: str, metadata: Any, score: float) -> Hit:
        row_id = row_id_from(name)
        if row_id is None:
            raise misaddressed()
        try:
            return Hit(row_id, base64.b64decode(metadata["sealed"], validate=True), float(score))
        except (KeyError, TypeError, ValueError):
            raise garbled() from None

    async def _call(self, work: Callable[[], T], absent: Any = ...) -> Any:
        """`absent`: the answer where the tenant has no namespace; none: that is an outage."""
        import pinecone

        def guarded() -> Any:
            with _outages():
                try:
                    return work()
                except pinecone.NotFoundError:
                    if absent is ...:
                        raise
                    return absent

        return await self._blocking.run(guarded)


@contextlib.contextmanager
def _outages() -> Iterator[None]:
    import pinecone

    try:
        yield
    except pinecone.PineconeError as error:
        raise refused("pinecone", getattr(error, "status_code", type(error).__name__)) from error
