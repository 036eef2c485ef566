"""What AWS calls a model on its price list and bill, as a model of the catalogue.

A billing name is the model in a usage type (`NovaPro`), or a product (`Claude Sonnet 4.6`); it is
never the id that is called. Names that are ids themselves, with or without their version, need
no row. What is not found is unknown: nothing is matched by likeness.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from typing import Final

from tenantry.domain.catalogue import Catalogue, Model
from tenantry.domain.price import PriceError

COLUMNS: Final = ("name", "model")
EDITION: Final = re.compile(r"\s*\(Amazon Bedrock Edition\)\s*$")
_VERSION = re.compile(r"(?:-v?[0-9]{1,3})?(?::[0-9]{1,3})?$", re.ASCII)


def billing_names_from_csv(lines: Iterable[str]) -> dict[str, str]:
    """Catalogue ids by name. Raises `PriceError` for a name that is given twice."""
    data = [(n, line) for n, line in enumerate(lines, 1) if line.strip() and line[0] != "#"]
    rows = list(csv.reader(line for _, line in data))
    if not rows or tuple(rows[0]) != COLUMNS:
        raise PriceError(f"columns must be {','.join(COLUMNS)}")
    names: dict[str, str] = {}
    for (number, _), row in zip(data[1:], rows[1:], strict=True):
        if len(row) != len(COLUMNS) or not all(row):
            raise PriceError(f"line {number}: {len(COLUMNS)} columns are expected")
        if row[0] in names:
            raise PriceError(f"line {number}: {row[0]} is given twice")
        names[row[0]] = row[1]
    return names


class BillingNames:
    """The names over one catalogue; a name whose model the catalogue lacks is unknown."""

    def __init__(self, names: Mapping[str, str], catalogue: Catalogue) -> None:
        by_id = {model.id: model for model in catalogue}
        stems: dict[str, set[str]] = {}
        for model_id in by_id:
            stems.setdefault(_VERSION.sub("", model_id), set()).add(model_id)
        self._models: dict[str, Model] = {
            **{stem: by_id[next(iter(ids))] for stem, ids in stems.items() if len(ids) == 1},
            **by_id,
            **{name: by_id[model] for name, model in names.items() if model in by_id},
        }

    def model(self, name: str) -> Model | None:
        """Of a name in a usage type, or of a product's name."""
        return self._models.get(EDITION.sub("", name))
