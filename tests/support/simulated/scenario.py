"""What happens in a simulation: a pure function of its seed, generated before anything runs.

A scenario is data: take calls, faults or events away by hand until the least that still fails is
left. Instants are milliseconds from the beginning of the run.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"
NOVA = "amazon.nova-micro-v1:0"
GROSS = "openai.gpt-oss-20b-1:0"  # its input figure includes cached tokens
TITAN = "amazon.titan-embed-text-v2:0"
CHATS = (CLAUDE, CLAUDE, NOVA, GROSS)
ACCOUNTS: Mapping[str, str] = {"pool": "111111111111", "silo": "222222222222"}
ZONES = (
    "UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe",
    "America/St_Johns", "Pacific/Kiritimati", "Africa/Casablanca", "America/Santiago",
)  # fmt: skip
# What 1 USD is in them: near 1, so that a plan's limit means something in each.
RATES = {
    "EUR": Fraction("0.921319329279"),
    "JPY": Fraction("1.512345678901"),
    "KWD": Fraction("0.75"),
}
CURRENCIES = ("USD", "USD", *RATES)
MARKUPS = ("1", "1.5", "3", "4", "2.375", "0.07", "3.333333333333", "0.070707070707")
STEPS = [{"up_to": 3_000, "per_million": "1234.567890123456"}, {"per_million": "987.654321"}]
TIER_FACTORS: Mapping[str, int] = {"default": 100, "priority": 175, "flex": 50}  # per cent
STEP_OVER = 300  # tokens of a prompt; from there on CLAUDE costs twice as much
# Where a gateway worker dies by kill -9. A figure after the name is how many ms later.
DEATHS = (
    "before-admit", "admitting:0", "admitting:1", "admitting:3", "admitted", "sent:0", "sent:5",
    "sent:25", "answered", "mid-stream", "settling:0", "settling:1", "settling:3", "settled",
    "beginning:1", "begun",
)  # fmt: skip
CACHED_WORDS = {CLAUDE: 4_200, NOVA: 1_100}  # enough for a model to cache at all
BY_CLASS = 1  # the number of the plan whose markup differs by token class
SILO = 2  # the number of the tenant, and of the plan, that has an account of its own
RUN_MS = 1_100  # the time in which traffic begins
Prices = Mapping[tuple[str, str, int, str], str]  # model, tier, over, class → USD per 1,000,000


@dataclass(frozen=True)
class TenantPlan:
    """A tenant as created. `budgets`: (scope, scope id, period, basis, limit), all hard."""

    name: str
    plan: str
    placement: str
    zone: str
    anchor_day: int
    currency: str
    keys: int
    budgets: tuple[tuple[str, str, str, str, str], ...] = ()


@dataclass(frozen=True)
class Call:
    """One request of a client. `fault` is an action of the emulator, for the first `times`
    attempts; `death` is where its worker dies; `leaves` after how many frames the client goes;
    `repeats` are later sendings of the same idempotency key."""

    number: int
    at_ms: int
    tenant: int
    key: int
    worker: int
    kind: str  # converse, stream, invoke, invoke-stream, embed
    model: str
    body: Mapping[str, Any]
    texts: tuple[str, ...] = ()
    tier: str | None = None
    user: str | None = None
    run: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    writes: str = "cache_write_5m"  # the dearest class that its cache points allow
    fault: Mapping[str, Any] | None = None
    times: int = 1
    death: str | None = None
    leaves: int | None = None
    repeats: tuple[tuple[int, int], ...] = ()  # (after ms, worker)

    @property
    def fault_name(self) -> str | None:
        """Its kind; of rubbish also what of the answer it is."""
        if self.fault is None or self.fault["kind"] != "rubbish":
            return self.fault and self.fault["kind"]
        return f"rubbish {self.fault['what']}"


@dataclass(frozen=True)
class Event:
    """What happens besides calls: price, plan, clock, log, sweep, kill, restart-postgres."""

    at_ms: int
    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    seed: int
    tenants: tuple[TenantPlan, ...]
    plans: Mapping[str, Mapping[str, Any]]
    prices: Prices
    calls: tuple[Call, ...]
    events: tuple[Event, ...]


def scenario(seed: int) -> Scenario:
    """Everything that happens under a seed."""
    rng = random.Random(f"tenantry {seed}")
    plans = {f"plan-{number}": _plan(rng, number) for number in range(3)}
    tenants = tuple(_tenant(rng, number) for number in range(3))
    calls = [_call(rng, seed, number, tenants, plans) for number in range(rng.randint(28, 40))]
    for victim in rng.sample(range(len(calls)), rng.choice((0, 0, 1, 1, 2))):
        calls[victim] = _dying(rng, calls[victim])
    return Scenario(seed, tenants, plans, _prices(rng), tuple(calls), tuple(_events(rng, plans)))


def _plan(rng: random.Random, number: int) -> dict[str, Any]:
    plan: dict[str, Any] = {
        "placement": "silo" if number == SILO else "pool",
        "markup": rng.choice(MARKUPS),
        "service_tiers_allowed": list(TIER_FACTORS),
        "max_tokens_default": rng.choice((16, 64)),
    }
    if number == BY_CLASS:
        plan["markup_by_class"] = {"out": "2.5", "cache_read": "0", "cache_write_5m": "7.1"}
    if rng.random() < 0.4:
        plan["monthly_budget"] = rng.choice(("0.02", "0.1", "1"))
    if rng.random() < 0.3:
        plan["concurrent_requests"] = rng.choice((2, 4))
    if rng.random() < 0.2:
        plan["requests_per_day"] = rng.choice((3, 8))
    if rng.random() < 0.2:
        plan["tokens_per_minute"] = 6_000
    if rng.random() < 0.2:
        plan["preamble"] = "Answer briefly."
    if rng.random() < 0.7:
        plan["monthly_fee"] = rng.choice(("9.99", "10.000000000001"))
    if rng.random() < 0.3:
        plan["minimum"] = rng.choice(("0.05", "40.123456789012"))
    if rng.random() < 0.3:
        included = rng.choice((0, 2_000))
        plan["overage"] = {"mode": "graduated", "included": included, "steps": STEPS}
    return plan


def _tenant(rng: random.Random, number: int) -> TenantPlan:
    budgets: list[tuple[str, str, str, str, str]] = []
    for _ in range(rng.choice((0, 1, 1, 2))):
        scope, ident = rng.choice(
            (("tenant", ""), ("api_key", "0"), ("user", "ada"), ("run", "r1"))
        )
        period, basis = rng.choice(("day", "month", "total")), rng.choice(("charge", "cost"))
        limit = rng.choice(("0.004", "0.03", "0.3"))
        if all(known[:4] != (scope, ident, period, basis) for known in budgets):
            budgets.append((scope, ident, period, basis, limit))
    return TenantPlan(
        name=f"tenant-{number}",
        plan=f"plan-{number if number == SILO or rng.random() < 0.8 else 0}",
        placement="silo" if number == SILO else "pool",
        zone=rng.choice(ZONES),
        anchor_day=rng.choice((1, 15, 28, 29, 30, 31)),
        currency=rng.choice(CURRENCIES),
        keys=rng.choice((1, 2)),
        budgets=tuple(budgets),
    )


def _call(
    rng: random.Random,
    seed: int,
    number: int,
    tenants: tuple[TenantPlan, ...],
    plans: Mapping[str, Mapping[str, Any]],
) -> Call:
    tenant = rng.randrange(len(tenants))
    kind = rng.choice(
        ("converse", "converse", "stream", "stream", "invoke", "invoke-stream", "embed")
    )
    native = kind.startswith("invoke")
    model = rng.choice(CHATS)
    if native and model == GROSS:
        model = CLAUDE
    call = Call(
        number=number,
        at_ms=rng.randrange(RUN_MS),
        tenant=tenant,
        key=rng.randrange(tenants[tenant].keys),
        worker=rng.randrange(2),
        kind=kind,
        model=TITAN if kind == "embed" else model,
        body={},
        user=rng.choice((None, "ada", "bob")),
        run=rng.choice((None, None, "r1")),
        tags={"feature": rng.choice(("chat", "search"))} if rng.random() < 0.5 else {},
    )
    if kind == "embed":
        texts = tuple(
            f"seed {seed} " + "ok " * rng.randint(1, 40) for _ in range(rng.randint(1, 4))
        )
        call = replace(call, texts=texts)
    else:
        call = _asked(rng, seed, call)
    return _troubled(rng, call)


def _asked(rng: random.Random, seed: int, call: Call) -> Call:
    words, out = rng.choice((3, 20, 120, 400)), rng.choice((1, 8, 30, 60))
    marked = call.model in CACHED_WORDS and rng.random() < 0.3
    hour = marked and call.model == CLAUDE and rng.random() < 0.5
    tier = None
    if call.model in (NOVA, GROSS) and rng.random() < 0.35:
        tier = rng.choice(("default", "priority", "flex"))
    shared = f"seed {seed} " + "ok " * CACHED_WORDS.get(call.model, 0)
    text = f"call {call.number} of seed {seed} " + "ok " * words
    make = _anthropic if call.kind.startswith("invoke") and call.model == CLAUDE else _converse
    body = make(text, out, shared if marked else None, hour)
    if make is _converse and rng.random() < 0.2:
        body["toolConfig"] = {"tools": [_TOOL]}
    return replace(
        call, body=body, tier=tier, writes="cache_write_1h" if hour else "cache_write_5m"
    )


_TOOL = {
    "toolSpec": {
        "name": "weather",
        "description": "Says what the weather is.",
        "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
}


def _converse(text: str, out: int, shared: str | None, hour: bool) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"text": text}]
    if shared is not None:
        point = {"type": "default", **({"ttl": "1h"} if hour else {})}
        content = [{"text": shared}, {"cachePoint": point}, {"text": text}]
    return {
        "messages": [{"role": "user", "content": content}],
        "inferenceConfig": {"maxTokens": out},
    }


def _anthropic(text: str, out: int, shared: str | None, hour: bool) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if shared is not None:
        control = {"type": "ephemeral", **({"ttl": "1h"} if hour else {})}
        content = [{"type": "text", "text": shared, "cache_control": control}, *content]
    return {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": out,
        "messages": [{"role": "user", "content": content}],
    }


def _troubled(rng: random.Random, call: Call) -> Call:
    """With a fault, a client that leaves, or a repetition; most have none."""
    draw = rng.random()
    streams = call.kind.endswith("stream")
    if draw < 0.30:
        return replace(call, fault=_fault(rng, streams), times=rng.choice((1, 1, 2, 5)))
    if draw < 0.42:
        return replace(call, leaves=rng.randint(0, 3), fault={"kind": "slow_tokens", "delay_ms": 2})
    if draw < 0.52 and not streams and call.kind != "embed":
        again = [(rng.choice((0, 1, 30, 400)), rng.randrange(2)) for _ in range(rng.randint(1, 3))]
        return replace(call, repeats=tuple(again))
    return call


def _fault(rng: random.Random, streams: bool) -> dict[str, Any]:
    billed = rng.choice(({}, {"bill": "full"}, {"bill": "none"}))
    faults: list[dict[str, Any]] = [
        {"kind": "throttle", "retry_after_ms": 1},
        {"kind": "throttle"},
        {"kind": "error", "status": rng.choice((500, 503)), **billed},
        {"kind": "cut", "clean": rng.random() < 0.5, **billed},
        {"kind": "slow_first_token", "delay_ms": rng.choice((20, 120))},
        {"kind": "usage", "input": rng.randint(1, 3), "output": rng.randint(0, 1)},
        {"kind": "rubbish", "what": rng.choice(("html", "truncated_json"))},
        {"kind": "rubbish", "what": "usage", "usage": {"inputTokens": -1}},
    ]
    if streams:
        faults.append({"kind": "error_frame", "after_events": rng.randint(1, 4), **billed})
        faults.append({"kind": "rubbish", "what": "bad_crc"})
    if rng.random() < 0.05:
        return {"kind": "hang", "bill": "full", "for_ms": 4_000}
    return rng.choice(faults)


def _dying(rng: random.Random, call: Call) -> Call:
    death = rng.choice(DEATHS)
    if death in ("beginning:1", "begun") and call.kind != "embed":
        return replace(call, death=death, fault={"kind": "throttle", "retry_after_ms": 1})
    if death == "mid-stream" and not call.kind.endswith("stream"):
        death = "sent:5"
    return replace(call, death=death)


def _prices(rng: random.Random) -> dict[tuple[str, str, int, str], str]:
    """USD for 1,000,000 tokens, of as many decimals as a price may have."""
    table = {}
    for model in (CLAUDE, NOVA, GROSS):
        base = {
            "uncached_in": rng.randint(1, 10**11),
            "out": rng.randint(1, 3 * 10**11),
            "cache_read": rng.randint(1, 10**10),
            "cache_write_5m": rng.randint(1, 12 * 10**10),
            "cache_write_1h": rng.randint(1, 2 * 10**11),
        }
        for tier, per_cent in TIER_FACTORS.items():
            for over in (0, STEP_OVER) if model == CLAUDE else (0,):
                for name, figure in base.items():
                    price = figure * per_cent * (2 if over else 1)
                    table[model, tier, over, name] = _decimal(price)
    table[TITAN, "default", 0, "embedding"] = _decimal(rng.randint(1, 9 * 10**11))
    return table


def _decimal(trillionths: int) -> str:
    return f"{trillionths // 10**12}.{trillionths % 10**12:012d}"


def _events(rng: random.Random, plans: Mapping[str, Mapping[str, Any]]) -> list[Event]:
    events = []
    for _ in range(rng.randint(1, 2)):
        # Later, at once, or so far back that the edition in force stays the latest.
        effective_ms = rng.choice((200, 350, 0, -3_600_000))
        events.append(
            Event(rng.randrange(RUN_MS), "price", {"in_ms": effective_ms, "prices": _prices(rng)})
        )
    for name in rng.sample(sorted(plans), rng.randint(1, 2)):
        changed = {**plans[name], "markup": rng.choice(MARKUPS)}
        events.append(Event(rng.randrange(RUN_MS), "plan", {"name": name, "table": changed}))
    for _ in range(rng.randint(0, 2)):
        offset_s = rng.choice((420, -7_200, 90_000, 61, 0))
        events.append(
            Event(
                rng.randrange(RUN_MS), "clock", {"worker": rng.randrange(3), "offset_s": offset_s}
            )
        )
    for _ in range(rng.randint(1, 2)):
        late = rng.random() < 0.35
        events.append(Event(rng.randrange(300, RUN_MS + 400), "log", {"withheld": late}))
    events.append(Event(rng.randrange(300, RUN_MS + 300), "sweep"))
    if rng.random() < 0.2:
        events.append(Event(rng.randrange(200, RUN_MS), "kill", {"worker": rng.randrange(2)}))
    if rng.random() < 0.1:
        events.append(Event(rng.randrange(200, RUN_MS), "restart-postgres"))
    return events
