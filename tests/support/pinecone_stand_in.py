"""A stand-in for the part of Pinecone that passages need, on its real wire.

It authenticates, holds one index of one dimension, and indexes what is written only a few queries
later, by log positions as Pinecone tells them. The default namespace is refused with 403: every
call must name a tenant's. `misrouted` makes it answer from every namespace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tests.support import knowledge as support
from tests.support.json_server import Asked, Told, json_server

API_KEY = "pcsk_stand_in"
METADATA_BYTES_MAX = 40_960
REQUEST_BYTES_MAX = 2_097_152
LAG_QUERIES = 2  # until a write is indexed
PAGE = 5


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.told = Told(status, {"code": status, "message": message, "details": []})


@dataclass
class Record:
    values: list[float]
    metadata: dict[str, Any]
    position: int


@dataclass
class PineconeStandIn:
    url: str = ""
    dimension: int = support.DIMENSIONS
    metric: str = "cosine"
    namespaces: dict[str, dict[str, Record]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    misrouted: bool = False
    tells_positions: bool = True
    broken: int = 0  # a status
    _written: int = 0
    _indexed: int = 0
    _waited: int = 0

    def __call__(self, asked: Asked) -> Told:
        self.requests.append(f"{asked.method} {asked.path}")
        try:
            if asked.headers.get("api-key") != API_KEY:
                raise Refused(401, "Invalid API key")
            if self.broken:
                raise Refused(self.broken, "Broken")
            if len(asked.body) > REQUEST_BYTES_MAX:
                raise Refused(400, "Request size exceeds the maximum supported size of 2097152")
            return self._answer(asked)
        except Refused as refused:
            return refused.told

    def _answer(self, asked: Asked) -> Told:
        query = dict(asked.query)
        if asked.path == "/describe_index_stats":
            return Told(200, {"dimension": self.dimension, "metric": self.metric, "namespaces": {}})
        if asked.path.startswith("/namespaces/") and asked.method == "DELETE":
            name = asked.path.removeprefix("/namespaces/")
            if self.namespaces.pop(name, None) is None:
                raise Refused(404, "Namespace not found")
            return Told(200, {})
        if asked.path == "/vectors/fetch":
            wanted = [value for key, value in asked.query if key == "ids"]
            return self._fetch(self._named(query.get("namespace")), wanted)
        if asked.path == "/vectors/list":
            return self._list(self._named(query.get("namespace")), query)
        body = asked.json()
        name = self._named(body.get("namespace"))
        if asked.path == "/vectors/upsert":
            return self._upsert(name, body["vectors"])
        if asked.path == "/query":
            return self._query(name, body)
        if asked.path == "/vectors/delete":
            return self._delete(name, body)
        raise Refused(404, "No such route")

    def _named(self, name: Any) -> str:
        if not name or name == "__default__":
            raise Refused(403, "No namespace is named")
        return str(name)

    def _upsert(self, name: str, records: list[dict[str, Any]]) -> Told:
        if len(records) > 1_000:
            raise Refused(400, "Too many records")
        held = self.namespaces.setdefault(name, {})
        self._written += 1
        for item in records:
            if len(item["values"]) != self.dimension:
                raise Refused(400, "Vector dimension does not match the index")
            if len(str(item["metadata"])) > METADATA_BYTES_MAX:
                raise Refused(400, "Metadata size exceeds the limit of 40960 bytes")
            held[item["id"]] = Record(item["values"], item["metadata"], self._written)
        headers = {"x-pinecone-request-lsn": str(self._written)} if self.tells_positions else {}
        return Told(200, {"upsertedCount": len(records)}, headers)

    def _query(self, name: str, body: Mapping[str, Any]) -> Told:
        self._waited += 1
        if self._waited >= LAG_QUERIES:
            self._indexed, self._waited = self._written, 0
        names = list(self.namespaces) if self.misrouted else [name]
        only = body.get("filter") or {}
        found = [
            (row_id, record)
            for each in names
            for row_id, record in self.namespaces.get(each, {}).items()
            if record.position <= self._indexed and _matches(record.metadata, only)
        ]
        if len(body["vector"]) != self.dimension or not 1 <= body["topK"] <= 10_000:
            raise Refused(400, "Vector dimension or top_k does not match")
        matches: list[dict[str, Any]] = [
            {"id": row_id, "score": float(np.float32(np.dot(record.values, body["vector"])))}
            | ({"metadata": record.metadata} if body.get("includeMetadata") else {})
            for row_id, record in found
        ]
        matches.sort(key=lambda item: -item["score"])
        headers = {"x-pinecone-max-indexed-lsn": str(self._indexed)} if self.tells_positions else {}
        told = {"matches": matches[: body["topK"]], "namespace": name, "usage": {"readUnits": 1}}
        return Told(200, told, headers)

    def _fetch(self, name: str, wanted: list[str]) -> Told:
        held = self.namespaces.get(name, {})
        vectors = {
            row_id: {"id": row_id, "values": held[row_id].values, "metadata": held[row_id].metadata}
            for row_id in wanted
            if row_id in held
        }
        return Told(200, {"vectors": vectors, "namespace": name, "usage": {"readUnits": 1}})

    def _list(self, name: str, query: Mapping[str, str]) -> Told:
        after, prefix = query.get("paginationToken", ""), query.get("prefix", "")
        if name not in self.namespaces:
            raise Refused(404, "Namespace not found")
        ids = sorted(i for i in self.namespaces[name] if i.startswith(prefix) and i > after)
        told: dict[str, Any] = {"vectors": [{"id": i} for i in ids[:PAGE]], "namespace": name}
        if len(ids) > PAGE:
            told["pagination"] = {"next": ids[PAGE - 1]}
        return Told(200, told)

    def _delete(self, name: str, body: Mapping[str, Any]) -> Told:
        if not body.get("filter") or body.get("ids") or body.get("deleteAll"):
            raise Refused(400, "Only a filter is understood here")
        if name not in self.namespaces:
            raise Refused(404, "Namespace not found")
        held = self.namespaces[name]
        for row_id in [i for i, item in held.items() if _matches(item.metadata, body["filter"])]:
            del held[row_id]
        return Told(200, {})


def _matches(metadata: Mapping[str, Any], only: Mapping[str, Any]) -> bool:
    for name, condition in only.items():
        ((operator, value),) = condition.items()
        held = metadata.get(name)
        if not (held == value if operator == "$eq" else held in value):
            return False
    return True


@contextmanager
def pinecone_stand_in() -> Iterator[PineconeStandIn]:
    state = PineconeStandIn()
    with json_server(state) as url:
        state.url = url
        yield state
