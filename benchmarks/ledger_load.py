"""A ledger of months, loaded by COPY: what a product with a long tail of tenants leaves behind.

1,000 tenants, of which a few make most of the requests; six models with caches; users and tags; six
months that are over. Each event is a posting in either book with its lines, its sums and its
partition, in the order of time, as the gate would have posted it.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
from tests.support.ledger import MARKUP, World

from tenantry.adapters.postgres.partitions import extend
from tenantry.domain import money
from tenantry.domain.ids import ApiKeyId
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import TokenClass

TENANTS = 1_000
MONTHS = 6
SEED = 20_261_123
CHUNK = 20_000  # events in one COPY of each book
SHAPES = 400  # of usage, for each model
TAIL = 0.8  # of Zipf's law: the largest tenant of 1,000 makes about 6 % of the requests
MODELS = {  # $ per 1,000,000 tokens: in, out, cache read; and its share of the requests
    "anthropic.claude-sonnet-4-5": ("3", "15", "0.3", 30),
    "anthropic.claude-haiku-4-5": ("1", "5", "0.1", 30),
    "amazon.nova-pro-v1": ("0.8", "3.2", "0.2", 15),
    "amazon.nova-micro-v1": ("0.035", "0.14", "0.00875", 10),
    "meta.llama4-maverick": ("0.24", "0.97", "", 10),
    "amazon.titan-embed-text-v2": ("0.02", "", "", 5),
}
TAGS = ('{"feature": "chat"}', '{"feature": "search"}', '{"feature": "draft", "team": "eu"}', "{}")
_CHARGE = [
    "tenant_id",
    "admitted_at",
    "request_id",
    "call",
    "attempt",
    "kind",
    "debit",
    "credit",
    "amount",
    "currency",
    "token_classes",
    "quantities",
    "unit_prices",
    "amounts",
    "posted_at",
    "day",
    "period_start",
    "price_version",
    "plan",
    "plan_version",
    "model",
    "api_key_id",
    "user_hash",
    "run_id",
    "tags",
    "flags",
]
_COST = [name for name in _CHARGE if name != "currency"] + [
    "account",
    "region",
    "service_tier",
    "ending",
    "charged",
    "began_at",
    "operation",
    "price_key",
    "upstream_request_id",
    "tokens",
    "raw",
    "normaliser_version",
]


@dataclass(frozen=True, slots=True)
class Span:
    """The months that are loaded, [start, end)."""

    start: datetime
    end: datetime

    def month(self, number: int) -> tuple[datetime, datetime]:
        """The last but `number`."""
        first = self.end
        for _ in range(number):
            end, first = first, (first - timedelta(days=1)).replace(day=1)
        end, first = first, (first - timedelta(days=1)).replace(day=1)
        return first, end


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a request used, as both books write it."""

    tokens: int
    lines: str  # classes and quantities
    costs: tuple[str, str, str]  # amount, unit prices, amounts
    charges: tuple[str, str, str]


def closed_months(now: datetime) -> Span:
    end = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = end
    for _ in range(MONTHS):
        start = (start - timedelta(days=1)).replace(day=1)
    return Span(start, end)


async def make_tenants(world: World, span: Span, count: int) -> list[Principal]:
    """Tenants that have been there since the first month, each with two API keys' worth of use."""
    made = []
    for number in range(count):
        tenant = await world.control.create_tenant(f"bench-{number:04}", plan="standard")
        made.append(Principal(tenant, ApiKeyId(f"key_{number:04}")))
    await world.as_superuser("UPDATE tenantry.tenant SET created_at = $1", span.start)
    return made


async def make_partitions(world: World, span: Span) -> None:
    owner = await asyncpg.connect(world.database.dsn("migrator"))
    try:
        await owner.execute("SET ROLE tenantry_owner")
        await owner.execute("SELECT tenantry.ensure_partitions($1, $2)", span.start.date(), MONTHS)
    finally:
        await owner.close()
    await extend(world.database.dsn("migrator"))


async def load(world: World, tenants: Sequence[Principal], span: Span, events: int) -> None:
    """So many events of these tenants, evenly over the months."""
    connection = await asyncpg.connect(world.database.dsn("superuser"))
    try:
        pairs = _events(tenants, span, events)
        while chunk := list(itertools.islice(pairs, CHUNK)):
            for table, columns, place in (("charge_entry", _CHARGE, 0), ("cost_entry", _COST, 1)):
                await connection.copy_to_table(
                    table,
                    schema_name="tenantry",
                    columns=columns,
                    source=_bytes(chunk, place),
                )
        await connection.execute("VACUUM ANALYZE tenantry.charge_entry")
        await connection.execute("VACUUM ANALYZE tenantry.cost_entry")
    finally:
        await connection.close()


async def _bytes(chunk: Sequence[tuple[str, str]], place: int) -> AsyncIterator[bytes]:
    for start in range(0, len(chunk), 1_000):
        yield "".join(pair[place] for pair in chunk[start : start + 1_000]).encode()


def _events(tenants: Sequence[Principal], span: Span, events: int) -> Iterator[tuple[str, str]]:
    """The rows of each event in the customer's and in the provider's book."""
    draw = random.Random(SEED)
    shapes = [_shapes(draw, *prices[:3]) for prices in MODELS.values()]
    models = list(MODELS)
    weights = [prices[3] for prices in MODELS.values()]
    shares = list(itertools.accumulate((n + 1) ** -TAIL for n in range(len(tenants))))
    step = (span.end - span.start) / events
    flags, number = "{}", 0
    while number < events:
        many = min(CHUNK, events - number)
        whose = draw.choices(range(len(tenants)), cum_weights=shares, k=many)
        which = draw.choices(range(len(models)), weights, k=many)
        for place in range(many):
            tenant = tenants[whose[place]]
            at = span.start + number * step
            ms = int(at.timestamp() * 1_000)
            shape = shapes[which[place]][draw.randrange(SHAPES)]
            model = models[which[place]]
            instant, posted = f"{at:%Y-%m-%d %H:%M:%S.%f+00}", f"{at:%Y-%m-%d %H:%M:%S.999999+00}"
            month = f"{at:%Y-%m-01 00:00:00+00}"
            user = f"u{number % 40}" if number % 3 else "\\N"
            head = f"{tenant.tenant_id}\t{instant}\t{ms:012x}70008{number:015x}\t0\t1\tusage\t"
            tail = (
                f"\t{posted}\t{at:%Y-%m-%d}\t{month}\t1\tstandard\t1\t{model}"
                f"\t{tenant.api_key_id}{number % 2}\t{user}\t\\N\t{TAGS[number % 4]}\t{flags}"
            )
            charge, unit_prices, charges = shape.charges
            cost, unit_costs, costs = shape.costs
            yield (
                f"{head}receivable_unbilled\trevenue_usage\t{charge}\tUSD\t{shape.lines}"
                f"\t{unit_prices}\t{charges}{tail}\n",
                f"{head}cost_of_sales\tpayable_provider\t{cost}\t{shape.lines}\t{unit_costs}"
                f"\t{costs}{tail}\t111111111111\tus-east-1\tdefault\tsettled\tt\t{instant}"
                f"\tConverse\t{model}\tup-{number}\t{shape.tokens}\t{{}}\t1\n",
            )
            number += 1


def _shapes(draw: random.Random, sent: str, made: str, cached: str) -> list[_Shape]:
    found = []
    for _ in range(SHAPES):
        first = TokenClass.UNCACHED_IN if made else TokenClass.EMBEDDING
        lines = [(first, draw.randrange(50, 6_000), sent)]
        if cached and draw.random() < 0.4:
            lines.append((TokenClass.CACHE_READ, draw.randrange(1_000, 20_000), cached))
        if made:
            lines.append((TokenClass.OUT, draw.randrange(20, 1_500), made))
        names = ",".join(name for name, _, _ in lines)
        counts = ",".join(str(count) for _, count, _ in lines)
        found.append(
            _Shape(
                sum(count for _, count, _ in lines),
                f"{{{names}}}\t{{{counts}}}",
                _amounts([(count, Decimal(price)) for _, count, price in lines]),
                _amounts(
                    [(count, Decimal(price) * MARKUP.of(name)) for name, count, price in lines]
                ),
            )
        )
    return found


def _amounts(lines: Sequence[tuple[int, Decimal]]) -> tuple[str, str, str]:
    amounts = [money.per_million(count, price) for count, price in lines]
    prices = ",".join(money.plain(price) for _, price in lines)
    return (
        money.plain(money.total(amounts)),
        f"{{{prices}}}",
        f"{{{','.join(map(money.plain, amounts))}}}",
    )
