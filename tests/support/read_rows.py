"""What a statement reads, by PostgreSQL's own count."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


async def rows_read(connection: Any, statement: str, *values: object) -> dict[str, int]:
    """Rows by table that a statement has looked at, those that it has thrown away among them."""
    read: dict[str, int] = {}
    for node in await _nodes_of(connection, statement, values):
        if "Relation Name" in node:
            each = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            table = node["Relation Name"]
            read[table] = read.get(table, 0) + round(each * node["Actual Loops"])
    return read


async def indexes_read(connection: Any, statement: str, *values: object) -> set[str]:
    """The indexes by which a statement reads."""
    nodes = await _nodes_of(connection, statement, values)
    return {node["Index Name"] for node in nodes if "Index Name" in node}


async def _nodes_of(connection: Any, statement: str, values: Any) -> list[dict[str, Any]]:
    told = await connection.fetchval(
        f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", *values
    )
    return list(_nodes(json.loads(told)[0]["Plan"]))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for each in node.get("Plans", []):
        yield from _nodes(each)
