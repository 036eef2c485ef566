"""A PDF that is read in part, over the wire: in what list and export answer, and in words on the
command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.page_files import SCANNED
from tests.support.stack import ALL_SCOPES, Stack, Tenant
from tests.support.stack_command import tenantry


def command(stack: Stack, who: Tenant, *words: str) -> str:
    keys = {"TENANTRY_API_KEY": who.key.bearer, "TENANTRY_URL": stack.url}
    done = tenantry(stack.home, "documents", *words, environment=keys)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(stack: Stack, who: Tenant, path: str) -> dict[str, Any]:
    status, _, body = stack.http("GET", path, tenant=who)
    assert status == 200, body
    (row,) = json.loads(body)["data"]
    assert isinstance(row, dict)
    return row


def test_it_says_so_wherever_it_is_shown(stack: Stack, tmp_path: Path) -> None:
    anna, bert = stack.tenants(scopes=ALL_SCOPES)
    part, whole = tmp_path / "contract.pdf", tmp_path / "note.txt"
    part.write_bytes(SCANNED)
    whole.write_text("apples are red")
    said = "ready, 5 of 6 pages without text"
    for _ in range(2):
        assert said in command(stack, anna, "add", str(part)), "the same upload again too"
    assert "ready  note.txt" in command(stack, bert, "add", str(whole))
    for path in ("/v1/documents", "/v1/export/documents"):
        row = listed(stack, anna, path)
        assert (row["status"], row["pages"], row["pages_without_text"]) == ("ready", 6, 5)
        row = listed(stack, bert, path)
        assert (row["title"], row["pages"], row["pages_without_text"]) == ("note.txt", None, None)
    assert said in " ".join(command(stack, anna, "list").split())
    assert "without text" not in command(stack, bert, "list")
