"""Postings of the ledger at instants of the past, and an auditor that counts them on its own.

Written by a superuser, since no role of Tenantry's can; triggers and partitions are the real ones.
"""

import dataclasses
import json
import random
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact
from functools import reduce
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.ledger import new_request_id

_EXACT = Context(prec=200, traps=[Inexact])
PRICES = (Decimal("12"), Decimal("0.0000007"), Decimal("9.000"))
MODELS = ("sonnet", "haiku", "embed")
CLASSES = ("uncached_in", "out", "cache_read")
_SHARED = (
    "tenant_id, admitted_at, request_id, call, attempt, kind, posted_at, day, period_start,"
    " price_version, plan, plan_version, model, api_key_id, user_hash, run_id, tags, flags,"
    " debit, credit, amount, token_classes, quantities, unit_prices, amounts"
)
_VALUES = (
    "$1, $2, $3, $4, 1, $5, $6, $7, $2, $8, 'standard', 1, $9, $10, $11, $12, $13, '{}',"
    " $14, $15, $16, $17, $18, $19, $20"
)
_CHARGE = f"INSERT INTO tenantry.charge_entry ({_SHARED}, currency) VALUES ({_VALUES}, 'USD')"
_COST = (
    f"INSERT INTO tenantry.cost_entry ({_SHARED}, account, region, service_tier, ending, charged,"
    f" began_at, operation, price_key, tokens, raw, normaliser_version) VALUES ({_VALUES},"
    " '111111111111', 'us-east-1', 'default', 'settled', true, $2, 'Converse', 'synthetic',"
    " 0, '{}', 1)"
)


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    return reduce(_EXACT.add, amounts, Decimal(0))


@dataclasses.dataclass(frozen=True)
class Posting:
    """One posting, the same quantities and prices in both books."""

    tenant_id: str
    at: datetime
    request_id: uuid.UUID
    call: int
    kind: str
    posted_at: datetime
    price_version: int
    model: str
    key: str
    user: str | None
    run: str | None
    tags: dict[str, str]
    quantities: dict[str, int]
    price: Decimal
    zone: str
    pays: bool = True  # False: it is our waste, and the customer's book has none of it

    @property
    def day(self) -> Any:
        return self.at.astimezone(ZoneInfo(self.zone)).date()

    @property
    def amounts(self) -> list[Decimal]:
        counts = map(Decimal, self.quantities.values())
        return [_EXACT.scaleb(_EXACT.multiply(count, self.price), -6) for count in counts]

    @property
    def amount(self) -> Decimal:
        return exact_sum(self.amounts)

    def values(self, debit: str, credit: str) -> Sequence[Any]:
        return (
            self.tenant_id,
            self.at,
            self.request_id,
            self.call,
            self.kind,
            self.posted_at,
            self.day,
            self.price_version,
            self.model,
            self.key,
            self.user,
            self.run,
            json.dumps(self.tags),
            debit,
            credit,
            self.amount,
            list(self.quantities),
            list(self.quantities.values()),
            [self.price] * len(self.quantities),
            self.amounts,
        )


async def post(connection: Any, postings: Iterable[Posting]) -> None:
    for each in postings:
        if each.pays:
            values = each.values("receivable_unbilled", "revenue_usage")
            await connection.execute(_CHARGE, *values)
        debit = "cost_of_sales" if each.pays else "waste"
        await connection.execute(_COST, *each.values(debit, "payable_provider"))


def a_posting(draw: random.Random, tenant_id: str, at: datetime, **changes: Any) -> Posting:
    late = timedelta(seconds=2) if draw.random() < 0.8 else timedelta(hours=draw.randrange(1, 40))
    values: dict[str, Any] = {
        "tenant_id": tenant_id,
        "at": at,
        "request_id": new_request_id(),
        "call": 0,
        "kind": "usage",
        "posted_at": at + late,
        "price_version": draw.choice((1, 1, 2)),
        "model": draw.choice(MODELS),
        "key": draw.choice(("key_a", "key_b")),
        "user": draw.choice((None, "alice", "bob")),
        "run": draw.choice((None, "run-1")),
        "tags": draw.choice(({}, {"feature": "chat"}, {"feature": "chat", "team": "red"})),
        "quantities": {
            name: draw.randrange(1, 100_000) for name in draw.sample(CLASSES, draw.randrange(1, 4))
        },
        "price": draw.choice(PRICES),
        "zone": "UTC",
    }
    return Posting(**{**values, **changes})


def a_further_one(draw: random.Random, of: Posting) -> Posting:
    """Another call of the same request, or a reversal of the posting; each late."""
    posted_at = datetime.now(UTC)
    if draw.random() < 0.5:
        call = draw.randrange(1, 30_000)
        return dataclasses.replace(
            of, call=call, posted_at=posted_at, model=draw.choice(MODELS), price=draw.choice(PRICES)
        )
    reversed_ones = {name: -quantity for name, quantity in of.quantities.items()}
    return dataclasses.replace(of, kind="reversal", posted_at=posted_at, quantities=reversed_ones)


def audited(
    postings: Iterable[Posting], tenant_id: str, start: datetime, end: datetime, by: Sequence[str]
) -> dict[tuple[str, ...], tuple[int, dict[str, int], Decimal]]:
    """Requests, tokens and charge by group, counted without a database."""
    requests: dict[tuple[str, ...], set[uuid.UUID]] = {}
    tokens: dict[tuple[str, ...], dict[str, int]] = {}
    charge: dict[tuple[str, ...], Decimal] = {}
    for each in postings:
        if each.tenant_id != tenant_id or not start <= each.at < end:
            continue
        for group in _groups(each, by):
            requests.setdefault(group, set()).add(each.request_id)
            counts = tokens.setdefault(group, {})
            for name, quantity in each.quantities.items():
                counts[name] = counts.get(name, 0) + quantity
            charge[group] = _EXACT.add(charge.get(group, Decimal(0)), each.amount)
    return {group: (len(requests[group]), tokens[group], charge[group]) for group in requests}


def _groups(each: Posting, by: Sequence[str]) -> list[tuple[str, ...]]:
    local = each.at.astimezone(ZoneInfo(each.zone))
    told = {
        "model": each.model,
        "day": each.day.isoformat(),
        "hour": local.replace(minute=0, second=0, microsecond=0).isoformat().replace("+00:00", "Z"),
        "key": each.key,
        "user": each.user or "",
        "run": each.run or "",
    }
    tags = [f"{name}={value}" for name, value in each.tags.items()] or [""]
    found: list[tuple[str, ...]] = [()]
    for name in by:
        values = tags if name == "tag" else [told[name]]
        found = [(*group, value) for group in found for value in values]
    return found
