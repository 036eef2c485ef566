"""OpenSearch: an index a tenant, addressed by an alias that filters for this tenant alone.

Every vector of the tenant is compared, by a script of ours: exact, and with a score that no release
of the k-NN plugin changes. An answer of which a shard is missing is no answer.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tenantry.adapters.vectors.engine import (
    CALL_TIMEOUT_S,
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
from tenantry.domain.ids import SegmentId

ALIAS, INDEX = "tenantry-", "tenantry-passages-"  # before the tenant's id
COSINE = "1.0 + cosineSimilarity(params.query_value, doc[params.field])"
_PAGE = 1_000  # segments in one page of an aggregation
_CONNECTIONS = 16
_SETTINGS = {"index": {"number_of_shards": 1, "translog": {"durability": "request"}}}
_PROPERTIES = {
    "tenant": {"type": "keyword"},
    "segment": {"type": "keyword"},
    "dimensions": {"type": "integer"},
    "sealed": {"type": "binary"},
}

T = TypeVar("T")


def connect(url: str, ca_bundle: Path | None = None) -> Any:
    """A client of `https://user:password@host:port`, which trusts the bundle beside the system."""
    import ssl

    import opensearchpy

    options: dict[str, Any] = {}
    if url.startswith("https://"):
        context = ssl.create_default_context()
        if ca_bundle is not None:
            context.load_verify_locations(ca_bundle)
        options = {"ssl_context": context}
    return opensearchpy.OpenSearch(
        [url],
        timeout=CALL_TIMEOUT_S,
        max_retries=1,
        maxsize=_CONNECTIONS,
        **options,
    )


class OpenSearch:
    """`Engine`."""

    name = "opensearch"
    exact = True

    def __init__(self, client: Any) -> None:
        self._client = client
        self._blocking = Blocking(self.name)

    def room(self, home: Home) -> AliasRoom:
        return AliasRoom(self._client, self._blocking, scope_of(home))

    async def close(self) -> None:
        await self._blocking.close(self._client.close)


class AliasRoom:
    """`Room`: one tenant's alias. Nothing but putting it up and down names its index."""

    def __init__(self, client: Any, blocking: Blocking, tenant: str) -> None:
        self._client = client
        self._blocking = blocking
        self._tenant = tenant
        self._alias, self._index = ALIAS + tenant, INDEX + tenant
        self._opened: set[int] = set()

    async def put(self, rows: Sequence[Row]) -> None:
        dimensions = len(rows[0].vector)
        lines: list[dict[str, Any]] = []
        for row in rows:
            lines.append({"index": {"_id": str(row.id)}})
            lines.append(
                {
                    "tenant": self._tenant,
                    "segment": row.id.segment_id,
                    "dimensions": dimensions,
                    "sealed": base64.b64encode(row.sealed).decode(),
                    _field(dimensions): list(row.vector),
                }
            )
        if dimensions not in self._opened:
            await self._call(lambda: self._open(dimensions))
            self._opened.add(dimensions)

        def write() -> Any:
            # An alias is asked for: an index that is gone must not come back without its mapping.
            return self._client.bulk(
                body=lines, index=self._alias, params={"require_alias": "true"}
            )

        answer = await self._call(write)
        if answer.get("errors") is not False or len(answer.get("items", ())) != len(rows):
            raise refused("opensearch", "a row was not stored")

    async def settle(self, segment_id: SegmentId, rows: int) -> None:
        _check_shards(await self._call(lambda: self._client.indices.refresh(index=self._alias)))

    async def search(
        self, vector: Sequence[float], limit: int, segments: Sequence[SegmentId] | None = None
    ) -> Sequence[Hit]:
        dimensions = len(vector)
        filters: list[dict[str, Any]] = [{"term": {"dimensions": dimensions}}]
        if segments is not None:
            filters.append({"terms": {"segment": list(segments)}})
        params = {"field": _field(dimensions), "query_value": list(vector)}
        query = {
            "script_score": {
                "query": {"bool": {"filter": filters}},
                "script": {"lang": "painless", "source": COSINE, "params": params},
            }
        }
        return await self._hits(query, limit)

    async def fetch(self, ids: Sequence[RowId], dimensions: int) -> Sequence[Hit]:
        # A search and not a get, which would pass over the alias's filter.
        return await self._hits({"ids": {"values": [str(item) for item in ids]}}, len(ids))

    async def delete(self, segments: Sequence[SegmentId]) -> None:
        body = {"query": {"terms": {"segment": list(segments)}}}
        params = {"conflicts": "proceed", "refresh": "true"}

        def work() -> Any:
            return self._client.delete_by_query(index=self._alias, body=body, params=params)

        answer = await self._call(work, absent={})
        if answer.get("failures") or answer.get("timed_out"):
            raise refused("opensearch", "rows were not deleted")

    async def segments(self) -> Sequence[SegmentId]:
        found: list[SegmentId] = []
        after: dict[str, Any] = {}
        while True:
            source = {"size": _PAGE, "sources": [{"name": {"terms": {"field": "segment"}}}]}
            composite = {**source, "after": after} if after else source
            body = {"size": 0, "aggs": {"segments": {"composite": composite}}}
            answer = await self._search(body)
            if answer is None:
                return []
            page = answer["aggregations"]["segments"]
            found += [SegmentId(bucket["key"]["name"]) for bucket in page["buckets"]]
            after = page.get("after_key", {})
            if not after:
                return [name for name in found if row_id_from(f"0_{name}")]

    async def drop(self) -> None:
        self._opened.clear()
        await self._call(lambda: self._client.indices.delete(index=self._index), absent={})

    def _open(self, dimensions: int) -> None:
        """Make index and alias where there are none, and a field for vectors of this length."""
        import opensearchpy

        vectors = {_field(dimensions): {"type": "knn_vector", "dimension": dimensions}}
        only = {"filter": {"term": {"tenant": self._tenant}}}
        body = {
            "settings": _SETTINGS,
            "mappings": {"dynamic": "strict", "properties": {**_PROPERTIES, **vectors}},
            "aliases": {self._alias: only},
        }
        try:
            self._client.indices.create(index=self._index, body=body)
        except opensearchpy.exceptions.RequestError as error:
            if error.error != "resource_already_exists_exception":
                raise
            self._client.indices.put_mapping(index=self._index, body={"properties": vectors})

    async def _hits(self, query: dict[str, Any], limit: int) -> list[Hit]:
        body = {"query": query, "size": limit, "_source": ["tenant", "sealed"]}
        answer = await self._search(body)
        return [] if answer is None else [self._hit(item) for item in answer["hits"]["hits"]]

    async def _search(self, body: dict[str, Any]) -> Any:
        """None where the tenant has no index."""
        params = {"allow_partial_search_results": "false"}

        def work() -> Any:
            return self._client.search(index=self._alias, body=body, params=params)

        answer = await self._call(work, absent=None)
        if answer is not None:
            if answer.get("timed_out") is not False:
                raise refused("opensearch", "timed out")
            _check_shards(answer)
        return answer

    def _hit(self, item: dict[str, Any]) -> Hit:
        try:
            at, held, row_id = item["_index"], item["_source"], row_id_from(item["_id"])
            tenant, sealed = held["tenant"], base64.b64decode(held["sealed"], validate=True)
            score = float(item["_score"]) - 1.0
        except (KeyError, TypeError, ValueError):
            raise garbled() from None
        if at != self._index or tenant != self._tenant or row_id is None:
            raise misaddressed()
        return Hit(row_id, sealed, score)

    async def _call(self, work: Callable[[], T], absent: Any = ...) -> Any:
        """`absent`: the answer where the tenant has no index; none: that is an outage."""
        import opensearchpy

        def guarded() -> Any:
            with _outages():
                try:
                    return work()
                except opensearchpy.exceptions.NotFoundError:
                    if absent is ...:
                        raise
                    return absent

        return await self._blocking.run(guarded)


@contextlib.contextmanager
def _outages() -> Iterator[None]:
    import opensearchpy

    try:
        yield
    except opensearchpy.exceptions.TransportError as error:
        raise refused("opensearch", error.status_code) from error
    except opensearchpy.exceptions.OpenSearchException as error:
        raise garbled() from error


def _check_shards(answer: Any) -> None:
    shards = answer.get("_shards", {})
    if shards.get("failed") != 0:
        raise refused("opensearch", "a shard is missing")


def _field(dimensions: int) -> str:
    return f"vector_{dimensions}"
