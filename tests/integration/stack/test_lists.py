"""Lists by pages, over the wire: of tenants and of the operator."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.stack import Stack


@pytest.mark.parametrize("cursor", ["", "zzz", "%00", f"doc_{'0' * 26}"])
def test_a_list_begins_nowhere_but_where_one_ended(stack: Stack, cursor: str) -> None:
    def said(path: str, **who: Any) -> tuple[int, bytes]:
        status, _, answer = stack.http("GET", f"{path}?cursor={cursor}", **who)
        return status, answer

    for tenant in stack.tenants():
        status, answer = said("/v1/keys", tenant=tenant)
        assert (status, b"`cursor`" in answer) == (400, True), answer
    for path in ("tenants", "alerts", "audits"):
        status, answer = said(f"/admin/v1/{path}", admin=True)
        assert (status, b"`cursor`" in answer) == (400, True), (path, answer)
