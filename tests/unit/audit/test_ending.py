"""A canary that has more keys and budgets than a page is put away whole."""

from __future__ import annotations

import json
from typing import Any, cast
from urllib.parse import parse_qs

from tenantry.entrypoints.audit.ending import Ending, put_away
from tenantry.entrypoints.audit.exchange import Ask, Reply
from tenantry.entrypoints.audit.operator import Operator
from tenantry.entrypoints.audit.wire import Wire

PAGE = 100


class AdminPort:
    """Lists in pages of a hundred; what is deleted is noted. Documents there are none."""

    def __init__(self, rows: int) -> None:
        self._rows = [{"id": f"{n:05}", "revoked_at": None} for n in range(rows)]
        self.deleted: set[str] = set()

    def send(self, asked: Ask, credential: Any, *, who: str) -> Reply:
        if asked.method == "DELETE":
            self.deleted.add(asked.path.removeprefix("/admin/v1/"))
            return Reply(204, {}, b"")
        if asked.method == "POST":
            made = {"id": "00000", "key": "tk_x", "access_key_id": "A", "secret_access_key": "s"}
            return Reply(201, {}, json.dumps(made).encode())
        cursor = parse_qs(asked.query).get("cursor", [""])[0]
        rest = [row for row in self._rows if str(row["id"]) > cursor]
        more = rest[PAGE - 1]["id"] if len(rest) > PAGE else None
        listed = [] if asked.path == "/v1/documents" else rest[:PAGE]
        return Reply(200, {}, json.dumps({"data": listed, "next_cursor": more}).encode())


def test_every_key_and_budget_goes() -> None:
    port = AdminPort(rows=2 * PAGE + 1)
    wire, ending = cast(Wire, port), Ending(shred=False)
    put_away(Operator(wire, "t"), wire, {"id": "tnt_a", "name": "audit-a"}, "a", ending, None)
    assert ending.told() == []
    ids = {f"{n:05}" for n in range(2 * PAGE + 1)}
    assert port.deleted == {f"{what}/{which}" for what in ("keys", "budgets") for which in ids}
