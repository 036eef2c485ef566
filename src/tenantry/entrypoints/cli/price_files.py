"""The files that `prices import` reads: our CSV and TOML, and AWS's offer files, as one edition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tenantry.adapters import shipped
from tenantry.domain.billing_name import BillingNames, billing_names_from_csv
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.discount import Discount
from tenantry.domain.offer_file import OfferFile, is_offer_csv, offer_from_csv, offer_from_json
from tenantry.domain.price import PriceEdition, PriceError, edition_from_cells, edition_from_csv
from tenantry.domain.price_file import PriceFile, price_file_from_toml
from tenantry.domain.price_list import long_steps, price_list

_NEVER = datetime.fromtimestamp(0, UTC)  # until the import says from when an edition holds


@dataclass(slots=True)
class Read:
    """What the files say together. `edition` None: discounts alone."""

    edition: PriceEdition | None = None
    discounts: list[Discount] = field(default_factory=list)
    effective_from: datetime | None = None
    layer: bool = False
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class OfferOptions:
    """How offer files are read."""

    home_region: str | None
    ignore: Sequence[str]
    names: Path | None


def read_price_files(
    files: Sequence[Path],
    options: OfferOptions,
    catalogue: Catalogue,
    in_force: PriceEdition | None,
) -> Read:
    """Raises `PriceError` with the name of the file; a model priced by two files is one."""
    read, offers = Read(), list[tuple[str, OfferFile]]()
    editions: list[PriceEdition] = []
    for file in files:
        try:
            found = _read(file)
        except (PriceError, UnicodeDecodeError) as problem:
            raise PriceError(f"{file.name}: {problem}") from None
        match found:
            case OfferFile():
                offers.append((file.name, found))
            case PriceFile():
                _take(read, found)
                if found.rows:
                    editions.append(_edition(found.rows, found.source))
            case PriceEdition():
                editions.append(found)
    if offers:
        editions.append(_listed(offers, options, catalogue, in_force, read))
    for edition in editions:
        read.edition = edition if read.edition is None else _joined(read.edition, edition)
    return read


def _read(file: Path) -> OfferFile | PriceFile | PriceEdition:
    text = file.read_text(encoding="utf-8-sig")
    match file.suffix.lower():
        case ".toml":
            return price_file_from_toml(text, name=file.name)
        case ".json":
            return offer_from_json(text)
        case _:
            lines = text.splitlines()
            if is_offer_csv(lines):
                return offer_from_csv(lines)
            return edition_from_csv(lines, version=0, effective_from=_NEVER, source=file.name)


def _take(read: Read, found: PriceFile) -> None:
    read.discounts += found.discounts
    read.layer = read.layer or found.layer
    if found.effective_from is not None:
        if read.effective_from not in (None, found.effective_from):
            raise PriceError("the files name two instants from which they hold")
        read.effective_from = found.effective_from


def _listed(
    offers: Sequence[tuple[str, OfferFile]],
    options: OfferOptions,
    catalogue: Catalogue,
    in_force: PriceEdition | None,
    read: Read,
) -> PriceEdition:
    own = {} if options.names is None else _names(options.names)
    found = price_list(
        [row for _, offer in offers for row in offer.rows],
        BillingNames({**shipped.billing_names(), **own}, catalogue),
        over_of=long_steps(in_force),
        home_region=options.home_region,
        ignore=options.ignore,
    )
    read.left_out.update(found.left_out)
    return _edition(found.rows, " + ".join(f"{o.service_code} {o.version}" for _, o in offers))


def _names(file: Path) -> dict[str, str]:
    return billing_names_from_csv(file.read_text(encoding="utf-8").splitlines())


def _edition(rows: Sequence[tuple[str, Sequence[str]]], source: str) -> PriceEdition:
    return edition_from_cells(rows, version=0, effective_from=_NEVER, source=source)


def _joined(one: PriceEdition, other: PriceEdition) -> PriceEdition:
    if twice := sorted(one.models.keys() & other.models.keys()):
        raise PriceError(f"{twice[0]} is priced by both {one.source} and {other.source}")
    source = f"{one.source} + {other.source}"
    return PriceEdition(0, _NEVER, source, {**one.models, **other.models})
