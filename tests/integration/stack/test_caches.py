"""Over the wire: cached tokens by their class, gross input made net."""

from decimal import Decimal
from typing import Any

from tests.support.metered import CLAUDE, GROSS, MeteredStack, text_of
from tests.support.stack import Tenant

ONE_HOUR = {"cachePoint": {"type": "default", "ttl": "1h"}}
FIVE_MINUTES = {"cachePoint": {"type": "default", "ttl": "5m"}}
READ, WRITTEN_1H, WRITTEN_5M = 13_923, 5_000, 2_262


def test_each_class_at_its_price(metered: MeteredStack) -> None:
    anna, bert = metered.tenants(placement="silo")
    first = _cached(metered, anna, [(6_000, "a"), None], out=1)["usage"]
    blocks = [(6_000 + READ - first["cacheWriteInputTokens"], "a"), None]
    probe = _cached(metered, anna, blocks, out=1)["usage"]
    assert probe["cacheWriteInputTokens"] == READ
    # One word more in a block is one token more; its overhead is the difference.
    more = _cached(metered, bert, [*blocks, (2_000, "b"), None, (2_000, "c"), FIVE_MINUTES], out=1)
    over = {d["ttl"]: d["inputTokens"] - 2_000 for d in more["usage"]["cacheDetails"]}
    before = metered.posted(anna)
    answer = _cached(
        metered,
        anna,
        [
            *blocks,
            (WRITTEN_1H - over["1h"], "d"),
            None,
            (WRITTEN_5M - over["5m"], "e"),
            FIVE_MINUTES,
        ],
        out=300,
    )
    usage = answer["usage"]
    assert usage["cacheReadInputTokens"] == READ
    assert {d["ttl"]: d["inputTokens"] for d in usage["cacheDetails"]} == {
        "1h": WRITTEN_1H,
        "5m": WRITTEN_5M,
    }
    posted = metered.posted(anna)
    # The question itself is some tokens; the case has two.
    question = Decimal(usage["inputTokens"] - 2) * 3 / 1_000_000
    assert posted.cost - before.cost - question == Decimal("0.0471654")
    assert posted.charge - before.charge == 3 * (posted.cost - before.cost)
    metered.agree(anna, bert)


def test_gross_input_is_made_net(metered: MeteredStack) -> None:
    """The answer's usage is of another provider's kind: the emulator says it, and bills its own."""
    anna = metered.tenant()
    metered.rule(
        anna,
        "rubbish",
        what="usage",
        usage={
            "inputTokens": 12_401,
            "outputTokens": 100,
            "totalTokens": 12_501,
            "cacheReadInputTokens": 8_367,
            "cacheWriteInputTokens": 4_032,
        },
    )
    answer = metered.boto3(anna).converse(**metered.ask(GROSS, 200, 100))
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-tenantry-charge"] == "0.0574083 USD"
    posted = metered.posted(anna)
    assert (posted.cost, posted.charge) == (Decimal("0.0191361"), Decimal("0.0574083"))
    (counts,) = metered.ledger(anna).values()
    assert (counts["input"], counts["cache_read"], counts["cache_write_5m"]) == (2, 8_367, 4_032)
    assert metered.violations() == []


def _cached(metered: MeteredStack, tenant: Tenant, parts: list[Any], out: int) -> dict[str, Any]:
    """`parts` of the system prompt: `(words, letter)`, or None for a cache point of one hour."""
    system = [
        ONE_HOUR if part is None else part if isinstance(part, dict) else {"text": _unique(*part)}
        for part in parts
    ]
    answer: dict[str, Any] = metered.boto3(tenant).converse(
        modelId=CLAUDE,
        system=system,
        messages=[{"role": "user", "content": [{"text": "ok ok"}]}],
        inferenceConfig={"maxTokens": out},
    )
    return answer


def _unique(words: int, letter: str) -> str:
    """Of a length in tokens that grows by one a word, and different for each letter."""
    return f"{letter} {text_of(words - 1)}"
