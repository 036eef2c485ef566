"""A stand-in for the part of Weaviate that passages need, on its real wires: REST and gRPC.

The client's own generated messages are the server's. It authenticates on both, and a collection
with multi-tenancy refuses every call that names no tenant, or one that was not made by name.
`misrouted` makes it answer from every tenant.
"""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from tests.support.json_server import Asked, Told, json_server

API_KEY = "weaviate-stand-in"
DELETED_AT_ONCE = 3  # 10,000 in Weaviate; few here, so that a deletion has rounds
PAGE_MAX = 100


@dataclass
class Stored:
    vector: list[float]
    properties: dict[str, str]


@dataclass
class Collection:
    schema: dict[str, Any]
    tenants: dict[str, dict[str, Stored]] = field(default_factory=dict)  # rows by their UUID


@dataclass
class WeaviateStandIn:
    url: str = ""
    grpc_url: str = ""
    collections: dict[str, Collection] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    named: set[str] = field(default_factory=set)  # tenants that were named over gRPC
    misrouted: bool = False
    broken: bool = False

    def __call__(self, asked: Asked) -> Told:
        self.requests.append(f"{asked.method} {asked.path}")
        if asked.path == "/v1/meta":
            return Told(200, {"version": "1.31.0", "grpcMaxMessageSize": 10_485_760})
        if asked.path == "/v1/.well-known/openid-configuration":
            return Told(404, {})
        if asked.headers.get("authorization") != f"Bearer {API_KEY}":
            return Told(401, {"code": 401, "message": "anonymous access not enabled"})
        if self.broken:
            return Told(500, {"error": [{"message": "broken"}]})
        parts = asked.path.removeprefix("/v1/schema").strip("/").split("/")
        if parts == [""]:
            return self._schema(asked)
        held = self.collections.get(parts[0])
        if held is None:
            return Told(404, {"error": [{"message": "could not find class"}]})
        if len(parts) == 1 and asked.method == "GET":
            return Told(200, held.schema)
        if parts[1] == "tenants":
            return self._tenants(asked, held, parts[2:])
        return Told(404, {})

    def _schema(self, asked: Asked) -> Told:
        if asked.method == "GET":
            return Told(200, {"classes": [item.schema for item in self.collections.values()]})
        schema = asked.json()
        name = schema["class"]
        tenancy = schema.get("multiTenancyConfig", {})
        if name in self.collections:
            return Told(422, {"error": [{"message": "class name already exists"}]})
        if not tenancy.get("enabled") or tenancy.get("autoTenantCreation"):
            return Told(422, {"error": [{"message": "a collection without tenants"}]})
        (vector,) = schema["vectorConfig"].values()
        if vector["vectorIndexType"] != "flat" or "none" not in vector["vectorizer"]:
            return Told(422, {"error": [{"message": "not an exact index of given vectors"}]})
        if vector["vectorIndexConfig"]["distance"] != "cosine":
            return Told(422, {"error": [{"message": "another distance"}]})
        vector["vectorIndexConfig"].setdefault("vectorCacheMaxObjects", 10**12)
        self.collections[name] = Collection(schema)
        return Told(200, schema)

    def _tenants(self, asked: Asked, held: Collection, rest: list[str]) -> Told:
        if rest:
            known = rest[0] in held.tenants
            told = {"name": rest[0], "activityStatus": "ACTIVE"}
            return Told(200, told) if known else Told(404, {"error": []})
        names = [item if isinstance(item, str) else item["name"] for item in asked.json()]
        if asked.method == "POST":
            for name in names:
                held.tenants.setdefault(name, {})
            return Told(200, [{"name": name} for name in names])
        if asked.method == "DELETE":
            for name in names:
                held.tenants.pop(name, None)
            return Told(200, None)
        return Told(405, {})


class _Servicer:
    """The four calls of Weaviate's gRPC that its client makes here."""

    def __init__(self, state: WeaviateStandIn) -> None:
        self._state = state

    def _rows(self, request: Any, context: Any) -> dict[str, Stored]:
        metadata = dict(context.invocation_metadata())
        if metadata.get("authorization") != f"Bearer {API_KEY}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "anonymous access not enabled")
        if self._state.broken:
            context.abort(grpc.StatusCode.INTERNAL, "broken")
        held = self._state.collections.get(request.collection)
        if held is None:
            context.abort(grpc.StatusCode.UNKNOWN, "could not find class")
        if not request.tenant:
            context.abort(grpc.StatusCode.UNKNOWN, "has multi-tenancy enabled, but no tenant")
        if request.tenant not in held.tenants:
            context.abort(grpc.StatusCode.UNKNOWN, "tenant not found")
        self._state.named.add(request.tenant)
        return held.tenants[request.tenant]

    def Search(self, request: Any, context: Any) -> Any:
        from weaviate.proto.v1 import search_get_pb2

        rows = list(self._rows(request, context).items())
        if self._state.misrouted:
            tenants = self._state.collections[request.collection].tenants.values()
            rows = [item for tenant in tenants for item in tenant.items()]
        rows = [(name, row) for name, row in rows if _passes(name, row, request.filters)]
        if request.HasField("near_vector"):
            vector = _vector(request.near_vector)
            near = [(_distance(row.vector, vector, context), name, row) for name, row in rows]
            near.sort(key=lambda item: item[:2])
        else:
            near = [(0.0, name, row) for name, row in sorted(rows) if name > request.after]
        reply = search_get_pb2.SearchReply(took=0.001)
        for distance, name, row in near[: request.limit or PAGE_MAX]:
            result = reply.results.add()
            result.metadata.id = name
            result.metadata.id_as_bytes = uuid.UUID(name).bytes
            if request.metadata.distance:
                result.metadata.distance, result.metadata.distance_present = distance, True
            result.properties.target_collection = request.collection
            for wanted in request.properties.non_ref_properties:
                value = result.properties.non_ref_props.fields[wanted]
                value.text_value = row.properties[wanted]
        return reply

    def BatchObjects(self, request: Any, context: Any) -> Any:
        from weaviate.proto.v1 import batch_pb2

        reply = batch_pb2.BatchObjectsReply(took=0.001)
        for index, item in enumerate(request.objects):
            rows = self._rows(item, context)
            properties = {
                name: str(value) for name, value in item.properties.non_ref_properties.items()
            }
            vector = _vector(item)
            length = len(next(iter(rows.values())).vector) if rows else len(vector)
            if len(vector) != length:
                reply.errors.add(index=index, error="vector lengths don't match")
            else:
                rows[item.uuid] = Stored(vector, properties)
        return reply

    def BatchDelete(self, request: Any, context: Any) -> Any:
        from weaviate.proto.v1 import batch_delete_pb2

        rows = self._rows(request, context)
        gone = [name for name, row in rows.items() if _passes(name, row, request.filters)]
        for name in gone[:DELETED_AT_ONCE]:
            del rows[name]
        count = len(gone[:DELETED_AT_ONCE])
        return batch_delete_pb2.BatchDeleteReply(matches=len(gone), successful=count, failed=0)

    def __getattr__(self, name: str) -> Any:
        def unknown(request: Any, context: Any) -> None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, name)

        return unknown


def _vector(message: Any) -> list[float]:
    raw = message.vector_bytes or (message.vectors[0].vector_bytes if message.vectors else b"")
    return list(struct.unpack(f"<{len(raw) // 4}f", raw)) if raw else list(message.vector)


def _distance(stored: list[float], asked: list[float], context: Any) -> float:
    if len(stored) != len(asked):
        context.abort(grpc.StatusCode.UNKNOWN, "vector lengths don't match")
    return float(np.float32(1.0 - np.dot(stored, asked)))  # both have length 1


def _passes(name: str, row: Stored, only: Any) -> bool:
    if only.ByteSize() == 0:
        return True
    if only.operator == only.Operator.OPERATOR_OR:
        return any(_passes(name, row, part) for part in only.filters)
    target = only.target.property or (only.on[0] if only.on else "")
    held = name if target == "_id" else row.properties[target]
    if only.operator == only.Operator.OPERATOR_EQUAL:
        return held == only.value_text
    assert only.operator == only.Operator.OPERATOR_CONTAINS_ANY, "another filter than is sent"
    return held in list(only.value_text_array.values)


@contextmanager
def weaviate_stand_in() -> Iterator[WeaviateStandIn]:
    from weaviate.proto.v1 import weaviate_pb2_grpc

    state = WeaviateStandIn()
    server = grpc.server(ThreadPoolExecutor(2))
    weaviate_pb2_grpc.add_WeaviateServicer_to_server(_Servicer(state), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with json_server(state) as url:
            state.url, state.grpc_url = url, f"http://127.0.0.1:{port}"
            yield state
    finally:
        server.stop(None).wait()


def readable(state: WeaviateStandIn) -> str:
    """Everything that it holds beside vectors, as text."""
    rows = [
        [name, row.properties]
        for collection in state.collections.values()
        for tenant in collection.tenants.values()
        for name, row in tenant.items()
    ]
    return json.dumps(rows)
