"""A running product at the synthetic prices of the metering contract's cases.

Its models answer with as many output tokens as a request allows; a prompt of any exact size is made
by measuring at the emulator. The invocation log comes only when a test asks for it (`stack.log()`),
so that what is unknown stays so until then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.stack import REGIONS, Stack, Tenant, wait_until
from tests.support.stack_books import HasId

from tenantry.adapters.postgres.control import PostgresControl
from tenantry.domain.price import edition_from_csv

CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"
NOVA = "amazon.nova-micro-v1:0"
GROSS = "openai.gpt-oss-20b-1:0"  # its input figure includes cached tokens
TITAN = "amazon.titan-embed-text-v2:0"
UNTIERED = "amazon.nova-lite-v1:0"  # the emulator serves it at the default tier alone
TEN = "amazon.nova-pro-v1:0"  # 10 $ per 1M tokens, in and out
UNCACHED = "amazon.nova-premier-v1:0"  # no price for a cache class
REGIONAL = "amazon.nova-2-lite-v1:0"  # 1 $ per 1M tokens, and 2 $ in the second region
RERANK = "amazon.rerank-v1:0"
RETIRED = {
    "chat": "amazon.nova-old-v1:0",
    "embedding": "amazon.titan-embed-old",
    "rerank": "amazon.rerank-old",
}
UNPRICED = {
    "chat": "amazon.nova-new-v1:0",
    "embedding": "amazon.titan-embed-new",
    "rerank": "amazon.rerank-new",
}
WINDOW = 10_000  # of UNTIERED in our catalogue: the bound of a prompt that fills it
DRAIN_CAP_MS = 6_000
FIRST_BYTE_TIMEOUT_MS = 4_000
ANSWER_TOKENS = 2_000

_PRICES: Mapping[str, str] = {
    "uncached_in": "3",
    "out": "15",
    "cache_read": "0.30",
    "cache_write_5m": "3.75",
    "cache_write_1h": "6",
}
_TIERS = {"default": Decimal(1), "batch": Decimal("0.5"), "priority": Decimal("1.75")}
_SYNTHETIC = (CLAUDE, NOVA, GROSS, UNTIERED)


@dataclass(frozen=True, slots=True)
class Posted:
    """What the ledger holds of one tenant. Attempts are `(call, attempt, ending, charged)`."""

    attempts: Sequence[tuple[int, int, str, bool]]
    cost: Decimal  # all of it, in the provider's book
    waste: Decimal  # of it, what the customer does not pay
    charge: Decimal
    open: Sequence[tuple[str, str | None]]  # state and reason of quarantine of each intent
    held_cost: Decimal
    held_charge: Decimal
    flags: frozenset[str]


class MeteredStack(Stack):
    """See the module. Rules of the emulator are made for one tenant's calls alone.

    The catalogue is set before the first request, because workers keep it for a while.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        timing = {
            "drain_cap_ms": DRAIN_CAP_MS,
            "upstream_first_byte_timeout_ms": FIRST_BYTE_TIMEOUT_MS,
            "upstream_idle_timeout_ms": FIRST_BYTE_TIMEOUT_MS,
        }
        self._overheads: dict[str, int] = {}
        super().__init__(folder, log_delay_ms=86_400_000 // 2, **{**timing, **settings})
        self.control(_reprice)

    def rule(self, tenant: HasId, kind: str, **action: Any) -> None:
        """A fault of the emulator for every call of a tenant, or for the first `times`."""
        times = action.pop("times", None)
        rule: dict[str, Any] = {
            "match": {"request_metadata": {"tid": tenant.id}},
            "action": {"kind": kind, **action},
        }
        self.emulator.rules({**rule, **({"times": times} if times else {})})

    def prompt(self, model: str, tokens: int) -> dict[str, Any]:
        """`messages` of a Converse request that counts exactly so many input tokens."""
        if model not in self._overheads:
            self._overheads[model] = self._counted(model, 100) - 100
        words = tokens - self._overheads[model]
        assert words > 0, f"{model} counts {self._overheads[model]} tokens around a prompt"
        return {"messages": [{"role": "user", "content": [{"text": text_of(words)}]}]}

    def ask(self, model: str, tokens: int, out: int) -> dict[str, Any]:
        """Members of a Converse call with exactly `tokens` in and `out` tokens out."""
        return {
            "modelId": model,
            **self.prompt(model, tokens),
            "inferenceConfig": {"maxTokens": out},
        }

    def log(self) -> None:
        """The invocation log delivers all that it holds back."""
        self.emulator.own("POST", "flush-logs")

    def posted(self, tenant: HasId) -> Posted:
        attempts = self.rows(_ATTEMPTS, tenant.id)
        intents = self.rows(_INTENTS, tenant.id)
        sums = self.rows(_SUMS, tenant.id)[0]
        return Posted(
            attempts=[tuple(row)[:4] for row in attempts],
            cost=sums["cost"],
            waste=sums["waste"],
            charge=sums["charge"],
            open=[tuple(row) for row in intents],
            held_cost=sums["held_cost"],
            held_charge=sums["held_charge"],
            flags=frozenset(flag for row in attempts for flag in row["flags"]),
        )

    def wait_posted(self, tenant: HasId, attempts: int) -> Posted:
        """What is posted once so many attempts have ended and none is open."""

        def look() -> Posted | None:
            posted = self.posted(tenant)
            return posted if len(posted.attempts) == attempts and not posted.open else None

        return wait_until(look, f"{attempts} ended attempts of {tenant.id}")

    def wait_unknown(self, tenant: HasId, attempts: int = 1) -> Posted:
        """What is posted once so many attempts are unknown."""

        def look() -> Posted | None:
            posted = self.posted(tenant)
            states = [state for state, _ in posted.open]
            return posted if states == ["unknown"] * attempts else None

        return wait_until(look, f"{attempts} unknown attempts of {tenant.id}")

    def dispatched(self, tenant: HasId) -> int:
        """How many calls of a tenant the emulator has answered and billed."""
        return len(self.bill(tenant))

    def agree(self, *tenants: Tenant) -> None:
        """Nothing is open, ledger and bill agree to the token, and every invariant holds."""
        self.wait_settled(*tenants)
        assert self.violations() == []

    def _counted(self, model: str, words: int) -> int:
        content = [{"text": text_of(words)}]
        answer = self.emulator.client().converse(
            modelId=model,
            messages=[{"role": "user", "content": content}],
            inferenceConfig={"maxTokens": 1},
        )
        counted: int = answer["usage"]["inputTokens"]
        return counted

    def _emulator_config(self, log_delay_ms: int) -> str:
        answer = f'fixed_answer = "{text_of(ANSWER_TOKENS)}"'
        return f"{answer}\n{super()._emulator_config(log_delay_ms)}"


def text_of(words: int) -> str:
    """So many words of one token each, in every encoding."""
    return " ".join(["ok"] * words)


def price_lines() -> list[str]:
    lines = ["model,tier,over_tokens,class,usd_per_million"]
    for model in _SYNTHETIC:
        for tier, factor in _TIERS.items():
            for name, price in _PRICES.items():
                lines.append(f"{model},{tier},0,{name},{Decimal(price) * factor:f}")
    lines += [f"{TEN},default,0,uncached_in,10", f"{TEN},default,0,out,10"]
    lines += [f"{UNCACHED},default,0,uncached_in,3", f"{UNCACHED},default,0,out,15"]
    lines += [f"{UNCACHED},default,0,cache_write_5m,-", f"{TITAN},default,0,embedding,0.40"]
    for key, price in ((REGIONAL, 1), (f"{REGIONAL}@{REGIONS[1]}", 2)):
        lines += [f"{key},default,0,uncached_in,{price}", f"{key},default,0,out,{price}"]
    return lines


async def _reprice(control: PostgresControl) -> None:
    now = await control.current_prices()
    own = edition_from_csv(
        price_lines(), version=1, effective_from=now.effective_from, source="synthetic"
    )
    await control.import_prices(replace(now, models={**now.models, **own.models}, source="test"))
    models = {model.id: model for model in await control.list_models()}
    small = replace(models[UNTIERED], window=WINDOW)
    kinds = {"chat": models[NOVA], "embedding": models[TITAN], "rerank": models[RERANK]}
    gone = [
        replace(model, id=RETIRED[kind], alias=None, retires_on=date(2026, 1, 1))
        for kind, model in kinds.items()
    ]
    new = [
        replace(model, id=UNPRICED[kind], alias=None, price_key="nobody-knows")
        for kind, model in kinds.items()
    ]
    await control.apply_models([small, *gone, *new])


_ATTEMPTS = """
SELECT call, attempt, ending, charged, flags FROM tenantry.attempt
WHERE tenant_id = $1 ORDER BY began_at, request_id, call, attempt
"""
_INTENTS = """
SELECT state, quarantined FROM tenantry.intent
WHERE tenant_id = $1 ORDER BY began_at, request_id, call, attempt
"""
_SUMS = """
SELECT (SELECT coalesce(sum(amount), 0) FROM tenantry.cost_entry
        WHERE tenant_id = $1) AS cost,
       (SELECT coalesce(sum(amount), 0) FROM tenantry.cost_entry
        WHERE tenant_id = $1 AND debit = 'waste') AS waste,
       (SELECT coalesce(sum(amount), 0) FROM tenantry.charge_entry
        WHERE tenant_id = $1) AS charge,
       (SELECT coalesce(sum(held_cost), 0) FROM tenantry.open_request
        WHERE tenant_id = $1) AS held_cost,
       (SELECT coalesce(sum(held_charge), 0) FROM tenantry.open_request
        WHERE tenant_id = $1) AS held_charge
"""
