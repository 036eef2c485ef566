"""Documents of a running product, uploaded and indexed again over the wire."""

from __future__ import annotations

from typing import Any

import orjson
from tests.support.stack import Stack, wait_until

REINDEX = "/v1/documents/reindex"


def call(stack: Stack, who: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    sent = b"" if body is None else orjson.dumps(body)
    headers = {"content-type": "application/json"}
    status, _, answer = stack.http(method, path, sent, tenant=who, headers=headers)
    return status, orjson.loads(answer) if answer else None


def document(title: str, text: str, **more: object) -> dict[str, object]:
    return {"title": title, "text": text, **more}


def reindexed(stack: Stack, who: Any) -> dict[str, Any]:
    """The reindex once it runs no more."""

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = call(stack, who, "GET", REINDEX)[1]
        return found if found["status"] != "running" else None

    return wait_until(look, "the reindex has ended")
