"""From rows to price editions and the model catalogue, and back. Pure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from tenantry.domain.catalogue import Catalogue, Model
from tenantry.domain.price import COLUMNS, PriceEdition, edition_from_csv


def to_edition(edition: Mapping[str, Any], prices: Iterable[Sequence[Any]]) -> PriceEdition:
    """The stored rows go through the same parser as an imported file: one meaning of a row."""
    lines = [",".join(COLUMNS)]
    for model, tier, over_tokens, token_class, price in prices:
        shown = "-" if price is None else format(price, "f")
        lines.append(f"{model},{tier},{over_tokens},{token_class},{shown}")
    return edition_from_csv(
        lines,
        version=edition["version"],
        effective_from=edition["effective_from"],
        source=edition["source"],
        tiers=None,
    )


def to_catalogue(rows: Iterable[Mapping[str, Any]]) -> Catalogue:
    rows = list(rows)
    models = [to_model(json.loads(row["definition"])) for row in rows]
    return Catalogue(models, version=max((row["version"] for row in rows), default=1))


def to_model(definition: Mapping[str, Any]) -> Model:
    retires_on = definition.get("retires_on")
    return Model(
        **{**definition, "retires_on": date.fromisoformat(retires_on) if retires_on else None}
    )


def from_model(model: Model) -> dict[str, Any]:
    """What is stored of a model; `to_model` is the inverse."""
    values = dataclasses.asdict(model)
    if model.retires_on is not None:
        values["retires_on"] = model.retires_on.isoformat()
    return values
