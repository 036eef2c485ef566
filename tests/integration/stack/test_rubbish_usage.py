"""Over the wire: usage that cannot be trusted is held, never guessed and never zero."""

from typing import Any

import pytest
from tests.support.metered import CLAUDE, MeteredStack
from tests.support.stack_clients import converse_path

RUBBISH: dict[str, Any] = {
    "classes that do not sum": {
        "inputTokens": 10,
        "outputTokens": 5,
        "totalTokens": 25,
        "cacheWriteInputTokens": 10,
        "cacheDetails": [{"ttl": "5m", "inputTokens": 3}, {"ttl": "1h", "inputTokens": 3}],
    },
    "a total that does not sum": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 14},
    "negative": {"inputTokens": -10, "outputTokens": 5, "totalTokens": -5},
    "NaN": {"inputTokens": "NaN", "outputTokens": 5, "totalTokens": 5},
    "1e9": {"inputTokens": "1e9", "outputTokens": 5, "totalTokens": 5},
    "a fraction": {"inputTokens": 1.5, "outputTokens": 5, "totalTokens": 6.5},
    "a truth": {"inputTokens": True, "outputTokens": 5, "totalTokens": 6},
    "too large": {"inputTokens": 10**15, "outputTokens": 5, "totalTokens": 10**15 + 5},
    "no object": [1, 2],
    "missing": None,
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", RUBBISH)
def test_quarantined_and_held(metered: MeteredStack, name: str, stream: bool) -> None:
    anna = metered.tenant()
    metered.rule(anna, "rubbish", what="usage", usage=RUBBISH[name])
    body = {**metered.prompt(CLAUDE, 1_000), "inferenceConfig": {"maxTokens": 500}}
    status, headers, answer = metered.http("POST", converse_path(CLAUDE, stream), body, tenant=anna)
    assert status == 200, answer
    assert "x-tenantry-charge" not in headers, "what is not known is not said to be 0"
    assert b"x-tenantry-charge" not in answer

    held = metered.wait_unknown(anna)
    ((_, reason),) = held.open
    assert reason
    assert (held.cost, held.charge) == (0, 0)
    bound = len(body["messages"][0]["content"][0]["text"]) + 32
    assert held.held_cost * 1_000_000 == bound * 3 + 500 * 15
    assert metered.violations() == []
