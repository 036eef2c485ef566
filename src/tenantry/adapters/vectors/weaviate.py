"""Weaviate: native multi-tenancy, a shard of its own for each tenant, reached by `with_tenant`.

There is a collection for each length of vector, with tenants that are made by name alone and a flat
index, which compares all of a tenant's vectors.
"""

from __future__ import annotations

import base64
import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

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

PREFIX = "Tenantry_"  # of collections, before the number of dimensions
GRPC_PORT = 50_051  # where an address names none
_NAMES = uuid.UUID("5f0b6f0e-6a0c-5a83-9c52-5a0f4ad24b0e")  # of rows, which Weaviate knows by UUID
_DELETIONS_MAX = 1_000  # calls, each of which deletes up to 10,000 rows
_PROPERTIES = ["row", "sealed"]

T = TypeVar("T")


def connect(url: str, grpc_url: str, api_key: str | None) -> Any:
    """A client that connects when it is first used, and asks nobody but Weaviate."""
    import weaviate
    from weaviate.classes.init import AdditionalConfig, Auth, Timeout
    from weaviate.connect import ConnectionParams

    http, grpc = urlsplit(url), urlsplit(grpc_url)
    timeout = Timeout(init=CALL_TIMEOUT_S, query=CALL_TIMEOUT_S, insert=CALL_TIMEOUT_S)
    return weaviate.WeaviateClient(
        connection_params=ConnectionParams.from_params(
            http_host=http.hostname or "",
            http_port=http.port or (443 if http.scheme == "https" else 80),
            http_secure=http.scheme == "https",
            grpc_host=grpc.hostname or "",
            grpc_port=grpc.port or GRPC_PORT,
            grpc_secure=grpc.scheme == "https",
        ),
        auth_client_secret=Auth.api_key(api_key) if api_key else None,
        additional_config=AdditionalConfig(timeout=timeout),
        skip_init_checks=True,  # one of them asks a package registry for news
    )


class Weaviate:
    """`Engine`."""

    name = "weaviate"
    exact = True

    def __init__(self, client: Any) -> None:
        self._client = client
        self._blocking = Blocking(self.name)
        self._connecting = threading.Lock()

    def room(self, home: Home) -> TenantRoom:
        return TenantRoom(self._connected, self._blocking, scope_of(home))

    async def close(self) -> None:
        await self._blocking.close(self._client.close)

    def _connected(self) -> Any:
        with self._connecting:
            if not self._client.is_connected():
                self._client.connect()
        return self._client


class TenantRoom:
    """`Room`: one tenant of each collection. Rows are only ever reached through `with_tenant`."""

    def __init__(self, client: Callable[[], Any], blocking: Blocking, tenant: str) -> None:
        self._client = client
        self._blocking = blocking
        self._tenant = tenant
        self._opened: set[int] = set()

    async def put(self, rows: Sequence[Row]) -> None:
        dimensions = len(rows[0].vector)

        def work() -> Any:
            from weaviate.classes.data import DataObject

            if dimensions not in self._opened:
                self._open(dimensions)
                self._opened.add(dimensions)
            objects = [
                DataObject(
                    uuid=_uuid_of(row.id),
                    properties={
                        "row": str(row.id),
                        "segment": row.id.segment_id,
                        "sealed": base64.b64encode(row.sealed).decode(),
                    },
                    vector=list(row.vector),
                )
                for row in rows
            ]
            return self._of(dimensions).data.insert_many(objects)

        answer = await self._call(work)
        if answer.has_errors or len(answer.uuids) != len(rows):
            raise refused("weaviate", "a row was not stored")

    async def settle(self, segment_id: SegmentId, rows: int) -> None:
        """Stored is searchable."""

    async def search(
        self, vector: Sequence[float], limit: int, segments: Sequence[SegmentId] | None = None
    ) -> Sequence[Hit]:
        def work() -> Any:
            from weaviate.classes.query import MetadataQuery

            return self._of(len(vector)).query.near_vector(
                near_vector=list(vector),
                limit=limit,
                filters=None if segments is None else _among(segments),
                return_properties=_PROPERTIES,
                return_metadata=MetadataQuery(distance=True),
            )

        answer = await self._call(work, dimensions=len(vector))
        return [] if answer is None else [self._hit(item) for item in answer.objects]

    async def fetch(self, ids: Sequence[RowId], dimensions: int) -> Sequence[Hit]:
        names = [_uuid_of(item) for item in ids]

        def work() -> Any:
            return self._of(dimensions).query.fetch_objects_by_ids(
                names, limit=len(names), return_properties=_PROPERTIES
            )

        answer = await self._call(work, dimensions=dimensions)
        return [] if answer is None else [self._hit(item) for item in answer.objects]

    async def delete(self, segments: Sequence[SegmentId]) -> None:
        for dimensions in await self._call(self._held):
            rounds = 0
            while rounds < _DELETIONS_MAX and await self._delete_some(dimensions, segments):
                rounds += 1

    async def _delete_some(self, dimensions: int, segments: Sequence[SegmentId]) -> int:
        """How many rows went in one call; 0 when none is left."""

        def work() -> Any:
            return self._of(dimensions).data.delete_many(where=_among(segments))

        answer = await self._call(work, dimensions=dimensions)
        if answer is not None and answer.failed:
            raise refused("weaviate", "rows were not deleted")
        return 0 if answer is None else int(answer.successful)

    async def segments(self) -> Sequence[SegmentId]:
        def work() -> set[SegmentId]:
            rows = [
                row_id_from(str(item.properties["row"]))
                for dimensions in self._held()
                for item in self._of(dimensions).iterator(return_properties=["row"])
            ]
            return {row.segment_id for row in rows if row is not None}

        return sorted(await self._call(work))

    async def drop(self) -> None:
        self._opened.clear()

        def work() -> None:
            for dimensions in self._held():
                self._client().collections.get(_collection(dimensions)).tenants.remove(
                    [self._tenant]
                )

        await self._call(work)

    def _of(self, dimensions: int) -> Any:
        """The tenant's part of a collection: whatever is asked of it is asked of this tenant."""
        return self._client().collections.get(_collection(dimensions)).with_tenant(self._tenant)

    def _held(self) -> list[int]:
        """The lengths of which the tenant has a shard."""
        client = self._client()
        lengths = [
            name.removeprefix(PREFIX)
            for name in client.collections.list_all(simple=True)
            if name.startswith(PREFIX)
        ]
        found = [int(length) for length in lengths if length.isdecimal()]
        return [length for length in found if self._exists(length)]

    def _exists(self, dimensions: int) -> bool:
        collections, name = self._client().collections, _collection(dimensions)
        return bool(collections.exists(name) and collections.get(name).tenants.exists(self._tenant))

    def _open(self, dimensions: int) -> None:
        """Make the collection and the tenant in it where they are not there."""
        from weaviate.exceptions import UnexpectedStatusCodeError

        collections, name = self._client().collections, _collection(dimensions)
        with contextlib.suppress(UnexpectedStatusCodeError):  # another process was faster
            if not collections.exists(name):
                _create(collections, name)
        tenants = collections.get(name).tenants
        if not tenants.exists(self._tenant):
            tenants.create([self._tenant])

    def _hit(self, item: Any) -> Hit:
        try:
            row_id = row_id_from(str(item.properties["row"]))
            sealed = base64.b64decode(item.properties["sealed"], validate=True)
            distance = item.metadata.distance
            score = 0.0 if distance is None else 1.0 - float(distance)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise garbled() from None
        if row_id is None or str(_uuid_of(row_id)) != str(item.uuid):
            raise misaddressed()
        return Hit(row_id, sealed, score)

    async def _call(self, work: Callable[[], T], dimensions: int | None = None) -> Any:
        """None where the tenant has no vectors of these dimensions."""

        def guarded() -> Any:
            from weaviate.exceptions import WeaviateQueryError

            with _outages():
                try:
                    return work()
                except WeaviateQueryError:
                    if dimensions is None or self._exists(dimensions):
                        raise
                    return None

        return await self._blocking.run(guarded)


def _create(collections: Any, name: str) -> None:
    from weaviate.classes.config import (
        Configure,
        DataType,
        Property,
        Tokenization,
        VectorDistances,
    )

    collections.create(
        name,
        properties=[
            Property(
                name="segment",
                data_type=DataType.TEXT,
                tokenization=Tokenization.FIELD,
                index_filterable=True,
                index_searchable=False,
            ),
            *(
                Property(
                    name=name,
                    data_type=DataType.TEXT,
                    index_filterable=False,
                    index_searchable=False,
                )
                for name in _PROPERTIES
            ),
        ],
        vector_config=Configure.Vectors.self_provided(
            vector_index_config=Configure.VectorIndex.flat(distance_metric=VectorDistances.COSINE)
        ),
        multi_tenancy_config=Configure.multi_tenancy(
            enabled=True, auto_tenant_creation=False, auto_tenant_activation=True
        ),
    )


def _collection(dimensions: int) -> str:
    return f"{PREFIX}{dimensions}"


def _uuid_of(row_id: RowId) -> uuid.UUID:
    return uuid.uuid5(_NAMES, str(row_id))


def _among(segments: Sequence[SegmentId]) -> Any:
    from weaviate.classes.query import Filter

    return Filter.by_property("segment").contains_any(list(segments))


@contextlib.contextmanager
def _outages() -> Iterator[None]:
    import httpx
    from weaviate.exceptions import WeaviateBaseError

    try:
        yield
    except (WeaviateBaseError, httpx.HTTPError) as error:
        raise refused("weaviate", type(error).__name__) from error
