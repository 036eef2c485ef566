"""A margin report as JSON, for the command line and the admin port alike."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tenantry.domain.margin import MarginReport, MarginRow

FIGURES = (
    "revenue",
    "provider_cost",
    "retries",
    "abandoned",
    "waste",
    "shared",
    "fees",
    "contribution",
    "margin_percent",
)


def from_margin(report: MarginReport, start: datetime, end: datetime) -> dict[str, Any]:
    """Money in USD, exact; margins in per cent."""
    return {
        "from": start,
        "to": end,
        "by": report.by.value,
        "currency": "USD",
        "data": [from_row(row) for row in report.rows],
        "total": from_row(report.total),
        "audits": None if report.audits is None else from_row(report.audits),
        "shared_costs": [
            {"name": line.name, "usd": line.usd, "allocated_by": line.key.value}
            for line in report.shared
        ],
        "payment_fees": {
            "rate": report.fee_rate,
            "each_usd": report.fee_each,
            "payers": report.payers,
        },
    }


def from_row(row: MarginRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "requests": row.requests,
        "tokens": row.tokens,
        **{name: getattr(row, name) for name in FIGURES},
    }
