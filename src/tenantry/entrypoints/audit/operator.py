"""The audit as an operator: makes what it attacks, and puts it away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from tenantry.entrypoints.audit.credentials import Key, bearer
from tenantry.entrypoints.audit.exchange import Ask, Reply
from tenantry.entrypoints.audit.wire import Wire

PAGES_MAX: Final = 10_000
_KEY_LIFE: Final = timedelta(hours=1)  # far longer than an audit takes


class Refused(Exception):
    """The control plane did not do what the audit needs. `status` is of its reply, if any."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Operator:
    """The admin port, with an operator's token."""

    def __init__(self, wire: Wire, token: str) -> None:
        self.wire = wire
        self._credential = bearer(token)

    def get(self, path: str, **query: str) -> Any:
        target = f"/admin/v1{path}"
        return self._done(Ask(f"GET {target}", target, urlencode(query))).json()

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        target = f"/admin/v1{path}"
        headers = {"content-type": "application/json"}
        sent = json.dumps(body or {}).encode()
        return self._done(Ask(f"POST {target}", target, headers=headers, body=sent)).json()

    def delete(self, path: str, **query: str) -> None:
        target = f"/admin/v1{path}"
        self._done(Ask(f"DELETE {target}", target, urlencode(query)))

    def key(self, tenant: str, **members: Any) -> Key:
        """A new API key of a tenant. It expires by itself: an audit that is cut off leaves none
        that works for long."""
        ending = (datetime.now(UTC) + _KEY_LIFE).isoformat()
        return key_from(self.post("/keys", {"tenant": tenant, "expires_at": ending, **members}))

    def revoke(self, tenant: str, key_id: str) -> None:
        self.delete(f"/keys/{quote(key_id, safe='')}", tenant=tenant)

    def every(self, path: str, **query: str) -> list[Any]:
        """All rows of a list, page by page."""
        rows: list[Any] = []
        for _ in range(PAGES_MAX):
            page = self.get(path, **query)
            rows += page["data"]
            if not page.get("next_cursor"):
                return rows
            query["cursor"] = page["next_cursor"]
        raise Refused(f"{path} does not end")

    def _done(self, asked: Ask) -> Reply:
        reply = self.wire.send(asked, self._credential, who="operator")
        if not reply.ok:
            body = reply.json()
            detail = body.get("detail") if isinstance(body, dict) else None
            told = f"{asked.operation}: {reply.status} {detail or ''}".strip()
            raise Refused(told, reply.status)
        return reply


def key_from(told: Mapping[str, Any]) -> Key:
    """An API key as the API tells it once."""
    return Key(told["id"], told["key"], told["access_key_id"], told["secret_access_key"])
