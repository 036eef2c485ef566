"""Plain HTTP requests, for what no SDK would send."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any

import orjson
from tests.support.http_edge import Edge

Reply = tuple[int, dict[str, str], bytes]


def send(
    edge: Edge,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    key: str | None = "tk_acme",
    headers: Mapping[str, str] | None = None,
    admin: bool = False,
) -> Reply:
    """Status, headers with lower-case names, and the whole body."""
    address = (edge.admin_url if admin else edge.url).removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        sent = dict(headers or {})
        if key is not None:
            sent.setdefault("authorization", f"Bearer {key}")
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read()
    finally:
        connection.close()


def post_json(
    edge: Edge,
    path: str,
    value: Any,
    *,
    key: str | None = "tk_acme",
    headers: Mapping[str, str] | None = None,
    admin: bool = False,
) -> Reply:
    sent = {"content-type": "application/json", **(headers or {})}
    return send(edge, "POST", path, orjson.dumps(value), key=key, headers=sent, admin=admin)
