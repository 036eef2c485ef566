"""The price book: dated editions of what a provider asks, by model, tier, prompt size and class.

Owns: looking a price up. Does not own: markup (a plan's) nor arithmetic (`rating`).
Invariant: what has no price is refused by name; nothing is ever priced at zero for want of a
figure.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation

from tenantry.domain.usage import TokenClass

STANDARD_TIER = "default"
COLUMNS = ("model", "tier", "over_tokens", "class", "usd_per_million")


class PriceError(ValueError):
    """A price book is malformed; the message names line and column."""


class Unpriced(LookupError):
    """No price for this model, tier, prompt size or class."""


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
            raise Unpriced(f"{self.key}: no price for service tier {tier}")
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
            raise Unpriced(f"{key}: no price in edition {self.version}") from None


def edition_from_csv(
    lines: Iterable[str], *, version: int, effective_from: datetime, source: str
) -> PriceEdition:
    """An edition from rows `model,tier,over_tokens,class,usd_per_million`.

    A price of `-` says that the class has none; class `*` with `-` that a whole step has none.
    """
    table: dict[str, dict[str, dict[int, dict[TokenClass, Decimal] | None]]] = {}
    reader = csv.DictReader(line for line in lines if not line.startswith("#"))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise PriceError(f"columns must be {','.join(COLUMNS)}")
    for number, row in enumerate(reader, start=2):
        _add(table, number, row)
    models = {
        key: ModelPrice(key, {tier: _steps(key, tier, steps) for tier, steps in tiers.items()})
        for key, tiers in table.items()
    }
    return PriceEdition(version, effective_from, source, models)


def edition_to_rows(edition: PriceEdition) -> list[tuple[str, str, int, str, Decimal | None]]:
    """Rows as `edition_from_csv` reads them, in a stable order: what is stored and compared."""
    rows: list[tuple[str, str, int, str, Decimal | None]] = []
    for key in sorted(edition.models):
        for tier, steps in sorted(edition.models[key].tiers.items()):
            for step in steps:
                if step.rates is None:
                    rows.append((key, tier, step.over_tokens, "*", None))
                    continue
                rows += [
                    (key, tier, step.over_tokens, str(cls), price)
                    for cls, price in sorted(step.rates.items())
                ]
    return rows


def _add(
    table: dict[str, dict[str, dict[int, dict[TokenClass, Decimal] | None]]],
    number: int,
    row: Mapping[str, str],
) -> None:
    try:
        over = int(row["over_tokens"])
    except (TypeError, ValueError):
        raise PriceError(f"line {number}: over_tokens must be a whole number") from None
    steps = table.setdefault(row["model"], {}).setdefault(row["tier"] or STANDARD_TIER, {})
    name, price = row["class"], row["usd_per_million"]
    if name == "*":
        if price != "-":
            raise PriceError(f"line {number}: class * can only be unpriced (-)")
        steps[over] = None
        return
    try:
        token_class = TokenClass(name)
    except ValueError:
        raise PriceError(f"line {number}: unknown class {name}") from None
    rates = steps.setdefault(over, {})
    if rates is None or token_class in rates:
        raise PriceError(f"line {number}: {row['model']} {name} is given twice")
    if price == "-":
        return
    try:
        amount = Decimal(price)
    except InvalidOperation:
        raise PriceError(f"line {number}: {price} is not a decimal number") from None
    if not amount.is_finite() or amount < 0:
        raise PriceError(f"line {number}: a price is finite and not negative")
    rates[token_class] = amount


def _steps(
    key: str, tier: str, steps: Mapping[int, Mapping[TokenClass, Decimal] | None]
) -> tuple[Step, ...]:
    if 0 not in steps:
        raise PriceError(f"{key}: tier {tier} has no prices over 0 tokens")
    return tuple(Step(over, steps[over]) for over in sorted(steps))
