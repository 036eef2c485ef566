"""Offer files of the AWS Price List (bulk API), JSON or CSV, as rows.

Owns: the files' two forms. Does not own: what a usage type counts (`usage_type`), nor what becomes
of a price (`price_list`). Only on-demand terms in USD are read; AWS's reserved terms are no price
of a request.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from tenantry.domain.price import PriceError

SERVICE_CODES: Final = frozenset({"AmazonBedrock", "AmazonBedrockFoundationModels"})
SERVICE: Final = "AmazonBedrockService"  # lists a few models that AWS bills itself
PREAMBLE_LINES: Final = 5  # of a CSV file, before its header
DIGITS_MAX: Final = 30  # of a price; AWS writes ten decimals
_CURRENCY = "USD"
_UNBOUNDED = frozenset({"", "0", "Inf"})


@dataclass(frozen=True, slots=True)
class OfferRow:
    """One price. `product` is what AWS calls the model where the usage type does not."""

    usage_type: str
    product: str
    region: str
    unit: str
    usd: Decimal


@dataclass(frozen=True, slots=True)
class OfferFile:
    service_code: str
    version: str
    rows: Sequence[OfferRow]


def offer_from_json(text: str) -> OfferFile:
    """Raises `PriceError` for what is no offer file of Amazon Bedrock."""
    try:
        document = json.loads(text, parse_float=Decimal)
        code = _of_bedrock(document["offerCode"])
        products, terms = document["products"], document["terms"].get("OnDemand", {})
        rows = tuple(_json_rows(products, terms))
        return OfferFile(code, str(document["version"]), rows)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise PriceError(f"not an offer file of the AWS Price List: {error!r}") from None


def offer_from_csv(lines: Sequence[str]) -> OfferFile:
    """Its first lines are the preamble (`"FormatVersion","v1.0"`, …), the sixth is the header."""
    reader = csv.reader(lines)
    try:
        told = {row[0]: row[1] for row in (next(reader) for _ in range(PREAMBLE_LINES))}
        code = _of_bedrock(told["OfferCode"])
        places = {name.replace(" ", "").lower(): n for n, name in enumerate(next(reader))}
        rows = tuple(_csv_row(places, row) for row in reader if _on_demand(places, row))
    except (KeyError, IndexError, StopIteration, csv.Error) as error:
        raise PriceError(f"not an offer file of the AWS Price List: {error!r}") from None
    return OfferFile(code, told.get("Version", ""), rows)


def is_offer_csv(lines: Sequence[str]) -> bool:
    return bool(lines) and lines[0].replace('"', "").startswith("FormatVersion,")


def _json_rows(
    products: Mapping[str, Any], terms: Mapping[str, Mapping[str, Any]]
) -> Iterator[OfferRow]:
    for sku, product in products.items():
        attributes = product["attributes"]
        for term in terms.get(sku, {}).values():
            for dimension in term["priceDimensions"].values():
                yield _row(
                    {
                        "usage_type": attributes.get("usagetype", ""),
                        "product": _product(attributes.get),
                        "region": attributes.get("regionCode", ""),
                        "unit": dimension.get("unit", ""),
                        "begin": dimension.get("beginRange", ""),
                        "end": dimension.get("endRange", ""),
                        "price": dimension["pricePerUnit"].get(_CURRENCY),
                    }
                )


def _csv_row(places: Mapping[str, int], row: Sequence[str]) -> OfferRow:
    def cell(name: str) -> str:
        place = places.get(name.lower())
        return row[place] if place is not None and place < len(row) else ""

    return _row(
        {
            "usage_type": cell("usageType"),
            "product": _product(cell),
            "region": cell("regionCode"),
            "unit": cell("unit"),
            "begin": cell("startingRange"),
            "end": cell("endingRange"),
            "price": cell("pricePerUnit") if cell("currency") == _CURRENCY else None,
        }
    )


def _on_demand(places: Mapping[str, int], row: Sequence[str]) -> bool:
    return bool(row) and row[places["termtype"]] == "OnDemand"


def _product(attribute: Any) -> str:
    """The model as an attribute names it, in either service."""
    return str(attribute("model") or attribute("titanModel") or attribute("servicename") or "")


def _row(cells: Mapping[str, Any]) -> OfferRow:
    name = cells["usage_type"]
    if cells["price"] is None:
        raise PriceError(f"{name}: its price is not in {_CURRENCY}")
    if {str(cells["begin"]), str(cells["end"])} - _UNBOUNDED:
        raise PriceError(f"{name}: its price depends on the quantity, which no edition can hold")
    try:
        price = Decimal(str(cells["price"]))
    except InvalidOperation:
        raise PriceError(f"{name}: {cells['price']!r} is no price") from None
    if not price.is_finite() or price < 0 or len(price.as_tuple().digits) > DIGITS_MAX:
        raise PriceError(f"{name}: {str(price)[:40]} is no price")
    return OfferRow(name, cells["product"], cells["region"], cells["unit"], price)


def _of_bedrock(code: str) -> str:
    if code not in SERVICE_CODES | {SERVICE}:
        raise PriceError(f"offer {code[:80]} is not one of Amazon Bedrock's")
    return code
