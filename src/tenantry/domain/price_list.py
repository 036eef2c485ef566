"""From AWS's price list to rows of the price book.

| the list says | the book has |
|---|---|
| `…-cross-region-global`, `…_Global` | the key of the `global.` profile |
| `…-cross-region-geo`, `…_Geo` | the keys of the region's geo profiles |
| neither | the model's own key, and those of the geo profiles for which it has no row |
| a long context | the step that the book in force has for the model |
| region | the key alone in the home region, `<key>@<region>` in every other |

A call through a geo profile is billed at its source region's own rate.

Invariant: a row becomes prices, or is left out for a reason that is named, or stops the import.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from tenantry.domain import money
from tenantry.domain.billing_name import BillingNames
from tenantry.domain.catalogue import Model
from tenantry.domain.model_ids import Scope
from tenantry.domain.offer_file import OfferRow
from tenantry.domain.price import PriceEdition, PriceError
from tenantry.domain.usage import TokenClass
from tenantry.domain.usage_type import MILLION, THOUSAND, Aside, Counted, usage_type

LISTED_MAX: Final = 50  # unknown names in one message; all are counted
_GLOBAL: Final = "global"
# Prefixes of the geo profiles that a source region may call (AWS, "Supported Regions and models
# for inference profiles", read 2026-11).
_GEO_PREFIXES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("us-gov-", ("us-gov",)),
    ("us-", ("us",)),
    ("eu-", ("eu",)),
    ("ca-", ("ca",)),
    ("ap-northeast-1", ("apac", "jp")),
    ("ap-northeast-3", ("apac", "jp")),
    ("ap-southeast-2", ("apac", "au")),
    ("ap-southeast-4", ("apac", "au")),
    ("ap-south-", ("apac", "in")),
    ("ap-", ("apac",)),
)
_PER_MILLION: Final[Mapping[tuple[int, str], int]] = {  # powers of ten, by unit of the list
    (THOUSAND, "1k tokens"): 3,
    (THOUSAND, "1m tokens"): 0,
    (MILLION, "units"): 0,
    (MILLION, "1m tokens"): 0,
    (1, "search units"): 6,
    (1, "search unit"): 6,
}
_Place: TypeAlias = tuple[str, str, int, TokenClass]  # key, tier, over_tokens, class


class UnknownNames(PriceError):
    """The price list has names that nothing is known of; the message lists them."""


@dataclass(slots=True)
class PriceList:
    """`rows` as `edition_from_cells` takes them; `left_out` counts rows by reason."""

    rows: list[tuple[str, Sequence[str]]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A row that counts, resolved."""

    row: OfferRow
    counted: Counted
    model: Model
    over_tokens: int
    price: Decimal  # USD per 1,000,000


def price_list(
    offers: Iterable[OfferRow],
    names: BillingNames,
    *,
    over_of: Callable[[Model], int | None],
    home_region: str | None = None,
    ignore: Sequence[str] = (),
) -> PriceList:
    """`over_of`: from how many tokens on a model has a long context. `ignore`: patterns of usage
    types to leave out. Raises `UnknownNames`, and `PriceError` where two rows disagree.
    """
    result, unknown, listed = PriceList(), Counter[str](), list[_Listed]()
    for row in offers:
        found = _resolved(row, names, over_of)
        if isinstance(found, _Listed):
            listed.append(found)
        elif isinstance(found, Aside):
            result.left_out[found.reason] += 1
        elif any(fnmatchcase(row.usage_type, pattern) for pattern in ignore):
            result.left_out["ignored as asked"] += 1
        else:
            unknown[found] += 1
    if unknown:
        raise UnknownNames(_told(unknown))
    for place, one in _placed(listed, home_region).items():
        key, tier, over, token_class = place
        cells = (key, tier, str(over), str(token_class), money.plain(one.price))
        result.rows.append((one.row.usage_type, cells))
    return result


def long_steps(edition: PriceEdition | None) -> Callable[[Model], int | None]:
    """Where a model's long context begins: its first step in an edition."""

    def over_of(model: Model) -> int | None:
        if edition is None:
            return None
        behind = f".{model.price_key}"
        for key, price in edition.models.items():
            plain = key.partition("@")[0]
            if plain == model.price_key or plain.endswith(behind):
                steps = [s.over_tokens for tier in price.tiers.values() for s in tier]
                if over := min(filter(None, steps), default=0):
                    return over
        return None

    return over_of


def class_of(counted: Counted, model: Model) -> TokenClass:
    """An embedding model's input is a class of its own."""
    if model.kind == "embedding" and counted.token_class is TokenClass.UNCACHED_IN:
        return TokenClass.EMBEDDING
    return counted.token_class


def geo_prefixes(region: str) -> tuple[str, ...]:
    for begin, prefixes in _GEO_PREFIXES:
        if region.startswith(begin):
            return prefixes
    return ()


def _resolved(
    row: OfferRow, names: BillingNames, over_of: Callable[[Model], int | None]
) -> _Listed | Aside | str:
    """The text says what is not known of the row."""
    counted = usage_type(row.usage_type)
    if counted is None:
        return f"usage type {row.usage_type}"
    if isinstance(counted, Aside):
        return counted
    model = names.model(counted.name) or names.model(row.product)
    if model is None:
        return f"model {counted.name or row.product or '?'} ({row.usage_type})"
    power = _PER_MILLION.get((counted.unit, row.unit.lower()))
    if power is None:
        return f"unit {row.unit} ({row.usage_type})"
    if not row.region:
        return f"region of {row.usage_type}"
    over = over_of(model) if counted.long_context else 0
    if over is None:
        return f"prompt size of the long context of {model.id} ({row.usage_type})"
    price = money.EXACT.scaleb(row.usd, power)
    return _Listed(row, counted, model, over, price)


def _placed(listed: Sequence[_Listed], home_region: str | None) -> dict[_Place, _Listed]:
    """Each price under its keys; what is said of a geo profile goes before what is implied."""
    explicit: dict[_Place, _Listed] = {}
    implied: dict[_Place, _Listed] = {}
    for one in listed:
        for key, is_implied in _keys(one, home_region):
            tier, token_class = one.counted.tier, class_of(one.counted, one.model)
            place = (key, tier, one.over_tokens, token_class)
            table = implied if is_implied else explicit
            other = table.setdefault(place, one)
            if other.price != one.price:
                raise PriceError(
                    f"{key} {tier} {token_class}: {other.row.usage_type} and {one.row.usage_type}"
                    f" give {money.plain(other.price)} and {money.plain(one.price)}"
                )
    return dict(sorted({**implied, **explicit}.items()))


def _keys(one: _Listed, home_region: str | None) -> Iterator[tuple[str, bool]]:
    """The keys that a row prices, and whether it only implies them."""
    own, region = one.model.price_key, one.row.region
    at = "" if region == home_region else f"@{region}"
    match one.counted.scope:
        case Scope.GLOBAL:
            yield f"{_GLOBAL}.{own}{at}", False
        case Scope.GEO:
            for prefix in geo_prefixes(region):
                yield f"{prefix}.{own}{at}", False
        case Scope.REGIONAL:
            yield f"{own}{at}", False
            for prefix in geo_prefixes(region):
                yield f"{prefix}.{own}{at}", True


def _told(unknown: Counter[str]) -> str:
    shown = sorted(unknown)[:LISTED_MAX]
    more = f", and {len(unknown) - LISTED_MAX} more" if len(unknown) > LISTED_MAX else ""
    return f"{len(unknown)} names are not known: {', '.join(shown)}{more}"
