"""A stand-in for the part of OpenSearch that passages need, on its real wire.

It authenticates, keeps strict mappings, shows nothing before a refresh, and applies an alias's
filter itself. What names no tenant is refused with 403: an index without a filter, a pattern, a
list, everything. `misrouted` makes it answer from every index, as a broken cluster would.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tests.support.json_server import Asked, Told, json_server

USER, PASSWORD = "gateway", "a password"
COSINE = "1.0 + cosineSimilarity(params.query_value, doc[params.field])"
_SHARDS = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
_KINDS = {"keyword": str, "integer": int, "binary": str}


class Refused(Exception):
    def __init__(self, status: int, kind: str) -> None:
        super().__init__(kind)
        self.told = Told(status, {"error": {"type": kind, "reason": kind}, "status": status})


@dataclass
class Index:
    properties: dict[str, Any]
    aliases: dict[str, Any]
    fresh: dict[str, dict[str, Any]] = field(default_factory=dict)  # not yet refreshed
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def refresh(self) -> None:
        self.rows |= self.fresh
        self.fresh.clear()


@dataclass
class OpenSearchStandIn:
    url: str = ""  # with the login in it
    indexes: dict[str, Index] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    misrouted: bool = False
    broken: str = ""  # `shard`, `slow` or `500`

    def __call__(self, asked: Asked) -> Told:
        self.requests.append(f"{asked.method} {asked.path}")
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        try:
            if asked.headers.get("authorization") != f"Basic {login}":
                raise Refused(401, "security_exception")
            if self.broken == "500":
                raise Refused(500, "internal_exception")
            return self._answer(asked)
        except Refused as refused:
            return refused.told

    def _answer(self, asked: Asked) -> Told:
        name, _, action = asked.path.strip("/").partition("/")
        if action == "" and asked.method == "PUT":
            return self._create(name, asked.json())
        if action == "" and asked.method == "DELETE":
            return self._delete_index(name)
        if action == "_mapping" and asked.method == "PUT":
            return self._map(name, asked.json())
        at, index, only = self._scoped(name)
        if action == "_bulk" and asked.method in ("POST", "PUT"):
            if ("require_alias", "true") not in asked.query:
                raise Refused(403, "would_make_an_index")
            return self._bulk(index, asked.body)
        if action == "_refresh" and asked.method == "POST":
            index.refresh()
            return Told(200, {"_shards": _SHARDS})
        if action == "_search" and asked.method == "POST":
            if ("allow_partial_search_results", "false") not in asked.query:
                raise Refused(403, "would_show_a_part")
            return self._search(at, index, only, asked.json())
        if action == "_delete_by_query" and asked.method == "POST":
            return self._delete(index, only, asked.json())
        raise Refused(400, "no_such_route")

    def _scoped(self, name: str) -> tuple[str, Index, Mapping[str, Any]]:
        """The index of an alias with a tenant's filter; all else is refused."""
        if (
            name in ("", "_all")
            or set(name) & set("*,?-+<>") - {"-"}
            or name.startswith(("-", "_"))
        ):
            raise Refused(403, "no_tenant_is_named")
        for at, index in self.indexes.items():
            if name in index.aliases:
                only = index.aliases[name].get("filter", {}).get("term", {})
                if set(only) != {"tenant"}:
                    raise Refused(403, "an_alias_without_a_tenant")
                return at, index, only
        if name in self.indexes:
            raise Refused(403, "an_index_without_a_filter")
        raise Refused(404, "index_not_found_exception")

    def _create(self, name: str, body: Any) -> Told:
        if name in self.indexes:
            raise Refused(400, "resource_already_exists_exception")
        if name != name.lower() or not body["aliases"]:
            raise Refused(400, "invalid_index_name_exception")
        if body["mappings"]["dynamic"] != "strict":
            raise Refused(400, "not_strict")
        self.indexes[name] = Index(dict(body["mappings"]["properties"]), dict(body["aliases"]))
        return Told(200, {"acknowledged": True, "index": name})

    def _map(self, name: str, body: Any) -> Told:
        held = self.indexes[name].properties
        for field_name, kind in body["properties"].items():
            if held.setdefault(field_name, kind) != kind:
                raise Refused(400, "illegal_argument_exception")
        return Told(200, {"acknowledged": True})

    def _delete_index(self, name: str) -> Told:
        if set(name) & set("*,") or name not in self.indexes:
            raise Refused(404, "index_not_found_exception")
        del self.indexes[name]
        return Told(200, {"acknowledged": True})

    def _bulk(self, index: Index, body: bytes) -> Told:
        lines = [json.loads(line) for line in body.decode().strip().split("\n")]
        items = []
        for action, row in zip(lines[::2], lines[1::2], strict=True):
            name = action["index"]["_id"]
            wrong = self._wrong(index, row)
            status = {"status": 400, "error": {"type": wrong}} if wrong else {"status": 201}
            if not wrong:
                index.fresh[name] = row
            items.append({"index": {"_id": name, **status}})
        errors = any("error" in item["index"] for item in items)
        return Told(200, {"took": 1, "errors": errors, "items": items})

    def _wrong(self, index: Index, row: Mapping[str, Any]) -> str:
        for name, value in row.items():
            kind = index.properties.get(name)
            if kind is None:
                return "strict_dynamic_mapping_exception"
            if kind["type"] == "knn_vector":
                if len(value) != kind["dimension"]:
                    return "mapper_parsing_exception"
            elif not isinstance(value, _KINDS[kind["type"]]):
                return "mapper_parsing_exception"
        return ""

    def _search(self, at: str, index: Index, only: Mapping[str, Any], body: Any) -> Told:
        found: list[tuple[str, str, dict[str, Any]]] = []
        for name, other in self.indexes.items():
            if name == at or self.misrouted:
                rows = other.rows.items()
                found += [(name, row_id, row) for row_id, row in rows]
        if not self.misrouted:
            found = [item for item in found if _matches(item[2], item[1], {"term": only})]
        if "aggs" in body:
            return Told(200, self._told(_segments(body["aggs"], [row for _, _, row in found])))
        query, script = body["query"], None
        if "script_score" in query:
            script = query["script_score"]["script"]
            if script["source"] != COSINE or script["lang"] != "painless":
                raise Refused(400, "script_exception")
            query = query["script_score"]["query"]
        hits = []
        for name, row_id, row in found:
            if _matches(row, row_id, query):
                score = 1.0 if script is None else _cosine(row, **script["params"])
                source = {key: row[key] for key in body["_source"]}
                hits.append({"_index": name, "_id": row_id, "_score": score, "_source": source})
        hits.sort(key=lambda hit: -hit["_score"])
        return Told(200, self._told({"hits": {"hits": hits[: body.get("size", 10)]}}))

    def _told(self, answer: dict[str, Any]) -> dict[str, Any]:
        shards = {**_SHARDS, "failed": 1} if self.broken == "shard" else _SHARDS
        return {"took": 1, "timed_out": self.broken == "slow", "_shards": shards, **answer}

    def _delete(self, index: Index, only: Mapping[str, Any], body: Any) -> Told:
        both = {"bool": {"filter": [{"term": only}, body["query"]]}}
        gone = [name for name, row in index.rows.items() if _matches(row, name, both)]
        for name in gone:
            del index.rows[name]
        return Told(200, {"deleted": len(gone), "failures": [], "timed_out": False})


def _matches(row: Mapping[str, Any], row_id: str, query: Mapping[str, Any]) -> bool:
    ((kind, what),) = query.items()
    if kind == "bool":
        return all(_matches(row, row_id, part) for part in what["filter"])
    if kind == "ids":
        return row_id in what["values"]
    ((name, value),) = what.items()
    if kind == "term":
        return bool(row.get(name) == value)
    if kind == "terms":
        return row.get(name) in value
    raise Refused(400, "parsing_exception")


def _cosine(row: Mapping[str, Any], field: str, query_value: list[float]) -> float:
    if field not in row:
        raise Refused(400, "script_exception")
    return 1.0 + float(np.float32(np.dot(row[field], query_value)))  # both have length 1


def _segments(aggs: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    composite = aggs["segments"]["composite"]
    after = composite.get("after", {}).get("name", "")
    names = sorted({row["segment"] for row in rows if row["segment"] > after})
    page = names[: composite["size"]]
    buckets = [{"key": {"name": name}, "doc_count": 1} for name in page]
    told: dict[str, Any] = {"buckets": buckets}
    if page:
        told["after_key"] = {"name": page[-1]}
    return {"hits": {"hits": []}, "aggregations": {"segments": told}}


@contextmanager
def opensearch_stand_in() -> Iterator[OpenSearchStandIn]:
    state = OpenSearchStandIn()
    with json_server(state) as url:
        state.url = url.replace("http://", f"http://{USER}:{PASSWORD.replace(' ', '%20')}@")
        yield state
