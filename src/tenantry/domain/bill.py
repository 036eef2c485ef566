"""A line of the provider's bill, as a Cost and Usage Report (CUR 2.0) has it.

Owns: which columns are read and what each means. Source: AWS Data Exports, "CUR 2.0 table
dictionary", read 2026-11.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from tenantry.domain.billing_name import EDITION

USAGE: Final = "Usage"  # the one type of line that is usage; credits, discounts, taxes are others
TIME_COLUMN: Final = "line_item_usage_start_date"
REQUIRED: Final = (
    "line_item_line_item_type",
    TIME_COLUMN,
    "line_item_usage_account_id",
    "line_item_usage_type",
    "line_item_usage_amount",
    "line_item_unblended_cost",
)
OPTIONAL: Final = (
    "identity_line_item_id",
    "identity_time_interval",
    "line_item_currency_code",
    "line_item_product_code",
    "line_item_resource_id",
    "line_item_iam_principal",
    "product",
    "product_region_code",
    "product_servicecode",
    "pricing_unit",
    "tags",
    "resource_tags",
)
FIGURE_DIGITS_MAX: Final = 40  # before the point and after it: sums of a bill stay exact
_CURRENCY = "USD"
_BEDROCK = "AmazonBedrock"


class BillError(ValueError):
    """A bill cannot be read; the message names the column."""


@dataclass(frozen=True, slots=True)
class BillLine:
    """`id` is empty where the export has no identities. `product` is AWS's name of it."""

    id: str
    at: datetime
    kind: str
    account: str
    region: str
    usage_type: str
    product: str
    is_bedrock: bool
    amount: Decimal
    unit: str
    cost: Decimal
    principal: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def tagged(self, name: str) -> str | None:
        """The value of a tag, whatever AWS put before its name: `iamPrincipal/`, `user:`."""
        for key, value in self.tags.items():
            if value and key.replace(":", "/").rpartition("/")[2] == name:
                return value
        return None

    @property
    def session(self) -> str | None:
        """The last part of the caller's ARN: a role session's name, or a user's."""
        return self.principal.rpartition("/")[2] or None


def bill_line(row: Mapping[str, Any]) -> BillLine:
    """A row by column names; maps are maps or JSON. Raises `BillError`."""
    code, product = _text(row, "line_item_product_code"), _mapping(row, "product")
    name = str(product.get("product_name") or product.get("servicename") or "")
    currency = _text(row, "line_item_currency_code")
    if currency not in ("", _CURRENCY):
        raise BillError(f"line_item_currency_code is {currency[:20]}, not {_CURRENCY}")
    line_id = _text(row, "identity_line_item_id")
    span = _text(row, "identity_time_interval")
    tags = {**_mapping(row, "resource_tags"), **_mapping(row, "tags")}
    return BillLine(
        id=f"{line_id} {span}".strip(),
        at=_instant(row),
        kind=_text(row, "line_item_line_item_type"),
        account=_text(row, "line_item_usage_account_id").zfill(12),
        region=_text(row, "product_region_code") or str(product.get("region") or ""),
        usage_type=_text(row, "line_item_usage_type"),
        product=EDITION.sub("", name),
        is_bedrock=code.startswith(_BEDROCK)
        or _text(row, "product_servicecode").startswith(_BEDROCK)
        or EDITION.search(name) is not None,
        amount=_decimal(row, "line_item_usage_amount"),
        unit=_text(row, "pricing_unit"),
        cost=_decimal(row, "line_item_unblended_cost"),
        principal=_text(row, "line_item_iam_principal"),
        tags={str(key): str(value) for key, value in tags.items() if value is not None},
    )


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value)


def _mapping(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A map column: of Parquet pairs or a mapping, of CSV JSON."""
    value = row.get(name)
    if isinstance(value, str):
        try:
            value = json.loads(value) if value else {}
        except ValueError:
            raise BillError(f"{name} is not JSON") from None
    if value is None:
        return {}
    if isinstance(value, list) and all(
        isinstance(pair, tuple) and len(pair) == 2 for pair in value
    ):
        value = dict(value)
    if not isinstance(value, Mapping):
        raise BillError(f"{name} is no map")
    return value


def _decimal(row: Mapping[str, Any], name: str) -> Decimal:
    """Of a binary fraction, as Parquet has them, its shortest decimal form: what CSV says."""
    try:
        figure = Decimal(_text(row, name) or "0")
    except InvalidOperation:
        raise BillError(f"{name} is not a number: {_text(row, name)[:40]!r}") from None
    if not figure.is_finite():
        raise BillError(f"{name} is not a finite number")
    exponent = figure.as_tuple().exponent
    assert isinstance(exponent, int), "the figure is finite"
    if figure.adjusted() >= FIGURE_DIGITS_MAX or exponent < -FIGURE_DIGITS_MAX:
        raise BillError(f"{name} has too many digits: {_text(row, name)[:40]!r}")
    return figure


def _instant(row: Mapping[str, Any]) -> datetime:
    value = row.get(TIME_COLUMN)
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BillError(f"{TIME_COLUMN} is no instant: {str(value)[:40]!r}") from None
