"""A Cost and Usage Report (CUR 2.0) made from the emulator's own bill.

Shares no code with the product: prices, usage types and units are written here a second time, as
AWS writes them, so that a shared mistake cannot agree with itself.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

COLUMNS = (
    "identity_line_item_id", "identity_time_interval", "line_item_currency_code",
    "line_item_iam_principal", "line_item_line_item_type", "line_item_product_code",
    "line_item_resource_id", "line_item_unblended_cost", "line_item_usage_account_id",
    "line_item_usage_amount", "line_item_usage_start_date", "line_item_usage_type",
    "pricing_unit", "product", "product_region_code", "product_servicecode", "tags",
)  # fmt: skip
_PREFIX = {"us-east-1": "USE1", "eu-central-1": "EUC1"}
_NOVA = {  # $ per 1,000 tokens
    "input": ("NovaMicro-input-tokens", Decimal("0.000035")),
    "output": ("NovaMicro-output-tokens", Decimal("0.00014")),
    "cache_read": ("NovaMicro-cache-read-input-token-count", Decimal("0.00000875")),
}
_HAIKU = {  # $ per 1,000,000 tokens, through the global profile; through a geo profile 10 % more
    "input": ("InputTokenCount", Decimal(1)),
    "output": ("OutputTokenCount", Decimal(5)),
    "cache_read": ("CacheReadInputTokenCount", Decimal("0.1")),
    "cache_write_5m": ("CacheWriteInputTokenCount", Decimal("1.25")),
    "cache_write_1h": ("CacheWrite1hInputTokenCount", Decimal(2)),
}
_UPLIFT = Decimal("1.1")
Line = dict[str, Any]


def lines_of(records: Iterable[Mapping[str, Any]]) -> list[Line]:
    """Lines of usage: an hour's sum of each account, region, caller and usage type."""
    sums: dict[tuple[str, ...], tuple[Decimal, Decimal]] = defaultdict(lambda: (Decimal(0),) * 2)
    for record in records:
        hour = record["timestamp"][:13]
        tenant = record["request_metadata"]["tid"]
        for name, count in record["usage"].items():
            if count:
                usage_type, unit, product, amount, cost = _priced(record, name, count)
                key = (hour, record["account"], record["region"], tenant, usage_type, unit, product)
                before = sums[key]
                sums[key] = (before[0] + amount, before[1] + cost)
    return [
        line_of(number, key, amount, cost)
        for number, (key, (amount, cost)) in enumerate(sorted(sums.items()))
    ]


def _priced(
    record: Mapping[str, Any], name: str, count: int
) -> tuple[str, str, str, Decimal, Decimal]:
    prefix = _PREFIX[record["region"]]
    if record["model"] == "amazon.nova-micro-v1:0":
        usage_type, price = _NOVA[name]
        amount = Decimal(count) / 1_000
        return f"{prefix}-{usage_type}", "1K tokens", "Amazon Bedrock", amount, amount * price
    assert "claude-haiku-4-5" in record["model"], record["model"]
    usage_type, price = _HAIKU[name]
    is_global = record["model_id"].startswith("global.")
    amount = Decimal(count) / 1_000_000
    dimension = f"{prefix}-MP:{prefix}_{usage_type}{'_Global' if is_global else ''}-Units"
    cost = amount * price * (1 if is_global else _UPLIFT)
    return dimension, "Units", "Claude Haiku 4.5 (Amazon Bedrock Edition)", amount, cost


def line_of(number: int, key: tuple[str, ...], amount: Decimal, cost: Decimal) -> Line:
    hour, account, region, tenant, usage_type, unit, product = key
    marketplace = unit == "Units"
    begin = f"{hour}:00:00Z"
    return {
        "identity_line_item_id": f"line{number:08d}",
        "identity_time_interval": f"{begin}/{hour}:59:59Z",
        "line_item_currency_code": "USD",
        "line_item_iam_principal": f"arn:aws:sts::{account}:assumed-role/tenantry/{tenant}",
        "line_item_line_item_type": "Usage",
        "line_item_product_code": "3m4ck3tpl4c3c0de" if marketplace else "AmazonBedrockService",
        "line_item_resource_id": "",
        "line_item_unblended_cost": f"{cost:f}",
        "line_item_usage_account_id": account,
        "line_item_usage_amount": f"{amount:f}",
        "line_item_usage_start_date": begin,
        "line_item_usage_type": usage_type,
        "pricing_unit": unit,
        "product": {"product_name": product, "region": region},
        "product_region_code": region,
        "product_servicecode": "" if marketplace else "AmazonBedrock",
        "tags": {"iamPrincipal/tid": tenant},
    }


def other_lines(day: str, account: str) -> list[Line]:
    """What stands on a bill beside requests: hours, guardrails, credits, taxes, other services."""
    key = (f"{day}T00", account, "us-east-1", "", "", "", "Amazon Bedrock")
    changes: tuple[Line, ...] = (
        {
            "line_item_usage_type": "USE1-NovaMicro-ProvisionedThroughput-NoCommit-ModelUnits",
            "line_item_unblended_cost": "432.6",
        },
        {
            "line_item_usage_type": "USE1-Guardrail-ContentPolicyUnitsConsumed",
            "line_item_unblended_cost": "0.15",
        },
        {"line_item_line_item_type": "Credit", "line_item_unblended_cost": "-25"},
        {"line_item_line_item_type": "Tax", "line_item_unblended_cost": "1.5"},
        {
            "line_item_product_code": "AmazonEC2",
            "product_servicecode": "AmazonEC2",
            "product": {},
            "line_item_usage_type": "BoxUsage:m5.large",
            "line_item_unblended_cost": "2.304",
        },
    )
    plain = {**line_of(0, key, Decimal(1), Decimal(0)), "tags": {}, "line_item_iam_principal": ""}
    return [
        {**plain, **change, "identity_line_item_id": f"other{number}"}
        for number, change in enumerate(changes)
    ]


def as_csv(lines: Iterable[Line]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    for line in lines:
        maps = {name: json.dumps(line[name]) for name in ("product", "tags")}
        writer.writerow({**line, **maps})
    return gzip.compress(out.getvalue().encode(), mtime=0)


def write_parquet(path: Path, lines: Iterable[Line]) -> None:
    """As AWS does: amounts and costs are doubles, times timestamps, maps maps."""
    import pyarrow as arrow
    from pyarrow import parquet

    kinds = dict.fromkeys(COLUMNS, arrow.string())
    kinds["line_item_unblended_cost"] = kinds["line_item_usage_amount"] = arrow.float64()
    kinds["line_item_usage_start_date"] = arrow.timestamp("ms")
    kinds["product"] = kinds["tags"] = arrow.map_(arrow.string(), arrow.string())
    numbers = ("line_item_unblended_cost", "line_item_usage_amount")
    rows = [
        {
            **line,
            **{name: float(line[name]) for name in numbers},
            "line_item_usage_start_date": _naive(line["line_item_usage_start_date"]),
            **{name: list(line[name].items()) for name in ("product", "tags")},
        }
        for line in lines
    ]
    schema = arrow.schema(list(kinds.items()))
    parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), path)


def _naive(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text).replace(tzinfo=None)
