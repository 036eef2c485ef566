"""`RateLimit`: what an answer leaves of its tenant's limits."""

from __future__ import annotations

import re

import pytest
from tests.support.stack import Stack

SAID = {"messages": [{"role": "user", "content": "hi"}], "model": "amazon.nova-micro-v1:0"}


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_left_is_told_with_each_answer(stack: Stack, stream: bool) -> None:
    anna, bert = stack.tenants({"requests_per_minute": 10, "requests_per_day": 1_000})
    for left in (9, 8):
        status, headers, _ = stack.http(
            "POST", "/v1/chat/completions", {**SAID, "stream": stream}, tenant=anna
        )
        assert status == 200
        assert headers["ratelimit"] == f'"requests_per_minute";r={left};t=60'
    _, headers, _ = stack.http("POST", "/v1/chat/completions", SAID, tenant=bert)
    assert headers["ratelimit"] == '"requests_per_minute";r=9;t=60'
    status, headers, _ = stack.http("GET", "/v1/models", tenant=anna)
    assert status == 200
    assert "ratelimit" not in headers


def test_the_day_s_end_is_the_tenant_s(stack: Stack) -> None:
    who = stack.tenant({"requests_per_day": 3})
    _, headers, _ = stack.http("POST", "/v1/chat/completions", SAID, tenant=who)
    found = re.fullmatch(r'"requests_per_day";r=2;t=(\d+)', headers["ratelimit"])
    assert found
    assert 0 < int(found[1]) <= 86_401
