"""The price book: dated editions of what a provider asks, by model, tier, prompt size and class.

A key is the catalogue's price key of a model, with a profile's prefix where one is called
(`us.…`, `global.…`), or a provisioned model's ARN; `<key>@<region>` holds in that region alone and
goes before the key without one, which holds in every other.

Owns: looking a price up. Does not own: markup (a plan's) nor arithmetic (`rating`).
Invariant: what has no price is refused by name; nothing is ever priced at zero for want of a
figure.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from tenantry.domain.usage import PRICED_CLASSES, TokenClass

STANDARD_TIER = "default"
UNPRICED = "-"  # as a price: the class has none
WHOLE_STEP = "*"  # as a class, with `-`: the step's figures are not known
BATCH_TIER = "batch"  # of batch inference, never of a call
TIERS = frozenset({STANDARD_TIER, "flex", "priority", "reserved", BATCH_TIER})
GUARDRAILS = "amazon.bedrock-guardrails"  # the price key of guardrail units, whatever the model
COLUMNS = ("model", "tier", "over_tokens", "class", "usd_per_million")
# Digits enough for any price, few enough that no product of one leaves the exact context.
_PRICE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,12})?", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,255}(?:@[a-z0-9-]{1,32})?", re.ASCII)
_CLASSES = frozenset(token_class.value for token_class in PRICED_CLASSES)
Row: TypeAlias = tuple[str, str, int, str, Decimal | None]  # model, tier, over_tokens, class, price
_Table: TypeAlias = dict[str, dict[str, dict[int, dict[str, Decimal | None]]]]


class PriceError(ValueError):
    """A price book is malformed; the message names line and column."""


class Unpriced(LookupError):
    """No price for this model, tier, prompt size or class.

    `key` is the price key that was looked up, and `of` what of a request it is about: its `model`
    or its `tier`; None where it is about how large it is or what it uses.
    """

    def __init__(self, message: str, *, key: str = "", of: str | None = None) -> None:
        super().__init__(message)
        self.key = key
        self.of = of


@dataclass(frozen=True, slots=True)
class Step:
    """Prices of all requests whose prompt is larger than `over_tokens`.

    `rates` are USD per 1,000,000 tokens (per 1,000,000 units for rerank and guardrail); an absent
    class has no price. `rates` None: the step exists and its figures are not known.
    """

    over_tokens: int
    rates: Mapping[TokenClass, Decimal] | None


@dataclass(frozen=True, slots=True)
class ModelPrice:
    key: str
    tiers: Mapping[str, tuple[Step, ...]]  # by service tier; steps ascend, the first is over 0

    def steps(self, tier: str, prompt_tokens: int) -> tuple[Step, ...]:
        """The steps that a prompt of up to `prompt_tokens` can meet, in ascending order."""
        found = self.tiers.get(tier)
        if found is None:
            said = f"{self.key}: no price for service tier {tier}"
            raise Unpriced(said, key=self.key, of="model" if tier == STANDARD_TIER else "tier")
        return tuple(s for s in found if s.over_tokens == 0 or prompt_tokens > s.over_tokens)

    def rates(self, tier: str, prompt_tokens: int) -> Mapping[TokenClass, Decimal]:
        """The prices of a request with exactly `prompt_tokens`."""
        step = self.steps(tier, prompt_tokens)[-1]
        if step.rates is None:
            raise Unpriced(f"{self.key}: unpriced above {step.over_tokens} tokens")
        return step.rates


@dataclass(frozen=True, slots=True)
class PriceEdition:
    version: int
    effective_from: datetime
    source: str
    models: Mapping[str, ModelPrice]

    def of(self, key: str) -> ModelPrice:
        try:
            return self.models[key]
        except KeyError:
            said = f"{key}: no price in edition {self.version}"
            raise Unpriced(said, key=key, of="model") from None

    def key_in(self, key: str, region: str) -> str:
        """The key that a call in a region is priced by: the region's own where the book has one."""
        own = f"{key}@{region}"
        return own if own in self.models else key

    @property
    def guardrails(self) -> ModelPrice | None:
        """The prices of guardrail units, which no model's own rows hold; None: there are none."""
        return self.models.get(GUARDRAILS)


def edition_from_csv(
    lines: Iterable[str],
    *,
    version: int,
    effective_from: datetime,
    source: str,
    tiers: Collection[str] | None = TIERS,
) -> PriceEdition:
    """An edition from rows `model,tier,over_tokens,class,usd_per_million`.

    A price of `-` says that the class has none; class `*` with `-` that a whole step has none.
    `tiers` None: any, as editions were stored before tiers were checked.
    """
    return edition_from_cells(
        ((f"line {number}", row) for number, row in _rows(lines)),
        version=version,
        effective_from=effective_from,
        source=source,
        tiers=tiers,
    )


def edition_from_cells(
    rows: Iterable[tuple[str, Sequence[str]]],
    *,
    version: int,
    effective_from: datetime,
    source: str,
    tiers: Collection[str] | None = TIERS,
) -> PriceEdition:
    """As `edition_from_csv`, of cells as text, each row with the place that an error names."""
    table: _Table = {}
    for place, row in rows:
        tier = row[1] or STANDARD_TIER
        if tiers is not None and tier not in tiers:
            raise PriceError(f"{place}: unknown tier {tier[:80]}")
        _add(table, place, row)
    models = {
        key: ModelPrice(key, {tier: _steps(key, tier, steps) for tier, steps in by_tier.items()})
        for key, by_tier in table.items()
    }
    return PriceEdition(version, effective_from, source, models)


def price_from(text: str, place: str) -> Decimal:
    """Raises `PriceError` that names the place."""
    if not _PRICE.fullmatch(text):
        raise PriceError(
            f"{place}: {text[:80]} is not a plain decimal number, of at most 9 digits in front and"
            " 12 decimals"
        )
    return Decimal(text)


def edition_to_rows(edition: PriceEdition) -> list[Row]:
    """Rows as `edition_from_csv` reads them, in a stable order: what is stored and compared."""
    rows: list[Row] = []
    for key in sorted(edition.models):
        for tier, steps in sorted(edition.models[key].tiers.items()):
            for step in steps:
                if step.rates is None:
                    rows.append((key, tier, step.over_tokens, WHOLE_STEP, None))
                    continue
                rows += [
                    (key, tier, step.over_tokens, str(cls), price)
                    for cls, price in sorted(step.rates.items())
                ]
    return rows


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Rows with the numbers of their lines; empty lines and comments are passed over."""
    number = 0

    def data() -> Iterator[str]:
        nonlocal number
        for number, line in enumerate(lines, start=1):  # noqa: B007 - told to the outer function
            if line.strip() and not line.startswith("#"):
                yield line

    reader = csv.reader(data(), strict=True)
    try:
        if tuple(next(reader, ())) != COLUMNS:
            raise PriceError(f"columns must be {','.join(COLUMNS)}")
        for row in reader:
            if len(row) != len(COLUMNS):
                raise PriceError(f"line {number}: {len(COLUMNS)} columns are expected")
            yield number, row
    except csv.Error as error:
        raise PriceError(f"line {number}: {error}") from None


def _add(table: _Table, place: str, row: Sequence[str]) -> None:
    model, tier, over, name, price = row
    for text in (model, tier or STANDARD_TIER):
        if not _NAME.fullmatch(text):
            raise PriceError(f"{place}: {text[:80]!r} names no model or tier")
    if not _COUNT.fullmatch(over):
        raise PriceError(f"{place}: over_tokens must be a whole number")
    steps = table.setdefault(model, {}).setdefault(tier or STANDARD_TIER, {})
    rates = steps.setdefault(int(over), {})
    if name in rates or (rates and WHOLE_STEP in (name, *rates)):
        raise PriceError(f"{place}: {model} {name} is given twice")
    if name == WHOLE_STEP and price != UNPRICED:
        raise PriceError(f"{place}: class * can only be unpriced (-)")
    if name != WHOLE_STEP and name not in _CLASSES:
        raise PriceError(f"{place}: unknown class {name[:80]}")
    rates[name] = None if price == UNPRICED else price_from(price, place)


def _steps(
    key: str, tier: str, steps: Mapping[int, Mapping[str, Decimal | None]]
) -> tuple[Step, ...]:
    """A step whose classes are all without a price is one whose figures are not known."""
    if 0 not in steps:
        raise PriceError(f"{key}: tier {tier} has no prices over 0 tokens")
    found = []
    for over in sorted(steps):
        rates = {
            TokenClass(name): price for name, price in steps[over].items() if price is not None
        }
        found.append(Step(over, rates or None))
    return tuple(found)
