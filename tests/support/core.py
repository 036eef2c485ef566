"""Words of the core for unit tests: a model, a plan, prices, two tenants."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from tenantry.domain.catalogue import Model
from tenantry.domain.ids import ApiKeyId, TenantId
from tenantry.domain.placement import Placement
from tenantry.domain.plan import Plan, plan_from
from tenantry.domain.price import GUARDRAILS, PriceEdition, edition_from_csv
from tenantry.domain.tenant import Principal, Tenant, TenantStatus
from tenantry.domain.usage import GUARDRAIL_CLASSES

ACCOUNT = "111111111111"
CLAUDE = Model(
    "anthropic.claude-test-v1:0", "anthropic", "chat", 200_000, 64_000, "claude",
    alias="claude", image_tokens_max=1_600, page_tokens_max=4_600, native_body="anthropic",
)  # fmt: skip
NOVA = Model(
    "amazon.nova-test-v1:0", "nova", "chat", 128_000, 10_000, "nova", native_body="nova"
)  # fmt: skip
GPT = Model("openai.gpt-test-1:0", "openai", "chat", 272_000, 64_000, "gpt", native_body="openai")
TITAN = Model("amazon.titan-embed-test-v2:0", "titan_embed", "embedding", 8_192, 0, "titan")
RERANK = Model("cohere.rerank-test-v1:0", "cohere_rerank", "rerank", 4_096, 0, "rerank")

# The synthetic prices of the metering contract's cases, $ for 1,000,000 tokens.
SYNTHETIC = {
    "uncached_in": "3",
    "out": "15",
    "cache_read": "0.30",
    "cache_write_5m": "3.75",
    "cache_write_1h": "6",
}
COLUMNS = "model,tier,over_tokens,class,usd_per_million"
HEADER = [COLUMNS]


def rows(key: str, prices: dict[str, str], tier: str = "default", over: int = 0) -> list[str]:
    return [f"{key},{tier},{over},{name},{price}" for name, price in prices.items()]


def edition(lines: Iterable[str], version: int = 1) -> PriceEdition:
    return edition_from_csv(
        [*HEADER, *lines],
        version=version,
        effective_from=datetime(2026, 1, 1, tzinfo=UTC),
        source="test",
    )


PRICES = edition(
    [
        *rows("claude", SYNTHETIC),
        *rows("nova", SYNTHETIC),
        *rows("gpt", SYNTHETIC),
        *rows("titan", {"embedding": "0.02"}),
        *rows("rerank", {"rerank_units": "2000"}),
        *rows(GUARDRAILS, dict.fromkeys(sorted(GUARDRAIL_CLASSES), "100")),
        *rows("claude", {name: str(float(p) * 1.75) for name, p in SYNTHETIC.items()}, "priority"),
        *rows("claude", {name: str(float(p) * 0.5) for name, p in SYNTHETIC.items()}, "batch"),
    ]
)


def plan(**table: Any) -> Plan:
    return plan_from("test", {"markup": "3", **table})


def principal(name: str = "acme", given: Plan | None = None, **placement: Any) -> Principal:
    place = {"id": "pool", "kind": "pool", "account": ACCOUNT, "region": "us-east-1", **placement}
    tenant = Tenant(
        TenantId(f"tnt_{name}"), name, TenantStatus.ACTIVE, given or plan(), Placement(**place)
    )
    return Principal(tenant, ApiKeyId(f"key_{name}"))
