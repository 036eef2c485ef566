"""A price book as a TOML file, with the discounts that an agreement gives.

Owns: the file's form. Every field stands in `data/prices_example.toml` (held by a test).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from tenantry.domain.discount import Discount
from tenantry.domain.price import TIERS, UNPRICED, WHOLE_STEP, PriceError, price_from
from tenantry.domain.usage import TokenClass

FILE_FIELDS: Final = frozenset({"source", "effective_from", "layer", "models", "discounts"})
DISCOUNT_FIELDS: Final = frozenset(
    {"name", "from", "until", "models", "tiers", "classes", "percent", "usd_per_million"}
)
OVER: Final = "over"  # the table of prompt-size steps beside a tier's classes
DISCOUNTS_MAX: Final = 1_000
_CLASSES: Final = frozenset(token_class.value for token_class in TokenClass)


@dataclass(frozen=True, slots=True)
class PriceFile:
    """`rows` as `edition_from_cells` takes them; none where the file has discounts alone.

    `layer`: models that the file does not name keep the prices of the edition in force.
    """

    source: str
    effective_from: datetime | None
    layer: bool
    rows: Sequence[tuple[str, Sequence[str]]]
    discounts: Sequence[Discount]


def price_file_from_toml(text: str, *, name: str) -> PriceFile:
    """Raises `PriceError` with the place of what is wrong. Money stands in quotes: TOML's own
    numbers with a fraction are binary and are refused.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PriceError(f"{name} is not TOML: {error}") from None
    _known(document, FILE_FIELDS, name)
    discounts = document.get("discounts", [])
    if not isinstance(discounts, list) or len(discounts) > DISCOUNTS_MAX:
        raise PriceError(f"{name}: discounts must be at most {DISCOUNTS_MAX} tables [[discounts]]")
    layer = document.get("layer", False)
    if not isinstance(layer, bool):
        raise PriceError(f"{name}: layer must be true or false")
    begin = document.get("effective_from")
    return PriceFile(
        source=_text(document.get("source", name), f"{name}: source"),
        effective_from=None if begin is None else _instant(begin, f"{name}: effective_from"),
        layer=layer,
        rows=tuple(_rows(_table(document.get("models", {}), f"{name}: models"))),
        discounts=tuple(_discount(one, f"discount {n}") for n, one in enumerate(discounts, 1)),
    )


def _rows(models: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[str]]]:
    for model, tiers in models.items():
        for tier, classes in _table(tiers, model).items():
            place = f"{model} {tier}"
            for name, price in _table(classes, place).items():
                if name == OVER:
                    yield from _steps(model, tier, _table(price, f"{place} {OVER}"))
                else:
                    yield place, (model, tier, "0", name, _price(price, f"{place} {name}"))


def _steps(model: str, tier: str, steps: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[str]]]:
    for over, classes in steps.items():
        place = f"{model} {tier} {OVER} {over}"
        if classes == UNPRICED:
            yield place, (model, tier, over, WHOLE_STEP, UNPRICED)
            continue
        for name, price in _table(classes, place).items():
            yield place, (model, tier, over, name, _price(price, f"{place} {name}"))


def _discount(value: Any, place: str) -> Discount:
    table = _table(value, place)
    _known(table, DISCOUNT_FIELDS, place)
    name = _text(table.get("name"), f"{place}: name")
    start = _instant(table.get("from"), f"{name}: from")
    end = None if "until" not in table else _instant(table["until"], f"{name}: until")
    if end is not None and end <= start:
        raise PriceError(f"{name}: until must be after from")
    if ("percent" in table) == ("usd_per_million" in table):
        raise PriceError(f"{name}: give either percent or usd_per_million")
    percent = _decimal(table["percent"], f"{name}: percent") if "percent" in table else None
    if percent is not None and not 0 < percent < 100:
        raise PriceError(f"{name}: percent must be between 0 and 100")
    price = table.get("usd_per_million")
    classes = _texts(table.get("classes", []), f"{name}: classes")
    if unknown := sorted(set(classes) - _CLASSES):
        raise PriceError(f"{name}: unknown class {unknown[0][:80]}")
    tiers = frozenset(_texts(table.get("tiers", []), f"{name}: tiers"))
    if unknown := sorted(tiers - TIERS):
        raise PriceError(f"{name}: unknown tier {unknown[0][:80]}")
    models = _texts(table.get("models", []), f"{name}: models")
    if not models:
        raise PriceError(f"{name}: models must name at least one, or a pattern such as *")
    return Discount(
        name=name,
        start=start,
        end=end,
        models=models,
        tiers=tiers,
        classes=frozenset(TokenClass(one) for one in classes),
        percent=percent,
        usd_per_million=None if price is None else _decimal(price, f"{name}: usd_per_million"),
    )


def _known(table: Mapping[str, Any], fields: frozenset[str], place: str) -> None:
    if unknown := sorted(set(table) - fields):
        raise PriceError(f"{place}: unknown field {unknown[0][:80]}")


def _table(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PriceError(f"{place} must be a table")
    return value


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise PriceError(f"{place} must be a text")
    return value


def _texts(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise PriceError(f"{place} must be a list of texts")
    return tuple(_text(one, place) for one in value)


def _price(value: Any, place: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise PriceError(f"{place}: a price is a decimal in quotes, or a whole number")
    return str(value)


def _decimal(value: Any, place: str) -> Decimal:
    return price_from(_price(value, place), place)


def _instant(value: Any, place: str) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise PriceError(f"{place} must be an instant with its zone, like 2027-01-01T00:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PriceError(f"{place} is before or after all time") from None
