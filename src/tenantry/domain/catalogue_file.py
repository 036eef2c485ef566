"""The model catalogue as a table of text: what `models apply` reads and what Tenantry ships.

Pure: lines in, `Model`s out. A file is taken whole or refused with its line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final, Literal, get_args

from tenantry.domain.catalogue import Model, ModelKind
from tenantry.domain.model_ids import Scope, parse_model_id

COLUMNS: Final = (
    "id",
    "alias",
    "family",
    "kind",
    "window",
    "max_output",
    "price_key",
    "burndown",
    "image_tokens_max",
    "page_tokens_max",
    "native_body",
    "retires_on",
)
NATIVE_BODIES: Final[tuple[Literal["anthropic", "nova", "openai", "none"], ...]] = (
    "anthropic",
    "nova",
    "openai",
    "none",
)


class CatalogueError(ValueError):
    """A model catalogue is malformed; the message names the line and the column."""


def models_from_csv(lines: Iterable[str]) -> list[Model]:
    """Models in the file's order. Lines that begin with `#` are comments.

    Raises `CatalogueError` for a missing column, a figure that is none, and for an id or alias
    that two models share.
    """
    numbered = [(n, line) for n, line in enumerate(lines, 1) if not line.startswith("#")]
    reader = csv.DictReader(line for _, line in numbered)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise CatalogueError(f"columns must be {','.join(COLUMNS)}")
    models: list[Model] = []
    names: dict[str, int] = {}
    for row in reader:
        number = numbered[reader.line_num - 1][0]
        model = _model(number, row)
        for name in filter(None, (model.id, model.alias)):
            if name in names:
                raise CatalogueError(f"line {number}: {name} is named in line {names[name]} too")
            names[name] = number
        models.append(model)
    return models


def _model(number: int, row: Mapping[str, str | None]) -> Model:
    if any(row.get(column) is None for column in COLUMNS) or len(row) != len(COLUMNS):
        raise CatalogueError(f"line {number}: must have {len(COLUMNS)} columns")
    cells = {column: row[column] or "" for column in COLUMNS}
    reference = parse_model_id(cells["id"])
    if reference is None or reference.scope is not Scope.REGIONAL or reference.base_id is None:
        raise CatalogueError(f"line {number}: id must be a base model id")
    for column in ("family", "price_key"):
        if not cells[column]:
            raise CatalogueError(f"line {number}: {column} is missing")
    return Model(
        id=cells["id"],
        alias=cells["alias"] or None,
        family=cells["family"],
        kind=_kind(number, cells["kind"]),
        window=_count(number, "window", cells["window"], least=1),
        max_output=_count(number, "max_output", cells["max_output"]),
        price_key=cells["price_key"],
        burndown=_count(number, "burndown", cells["burndown"], least=1),
        image_tokens_max=_count(number, "image_tokens_max", cells["image_tokens_max"]),
        page_tokens_max=_count(number, "page_tokens_max", cells["page_tokens_max"]),
        native_body=_native_body(number, cells["native_body"]),
        retires_on=_day(number, cells["retires_on"]),
    )


def _count(number: int, column: str, text: str, least: int = 0) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        raise CatalogueError(f"line {number}: {column} must be a whole number of at least {least}")
    return int(text)


def _kind(number: int, text: str) -> ModelKind:
    for kind in get_args(ModelKind):
        if kind == text:
            return kind  # type: ignore[no-any-return]
    raise CatalogueError(f"line {number}: kind must be one of {', '.join(get_args(ModelKind))}")


def _native_body(number: int, text: str) -> Literal["anthropic", "nova", "openai", "none"]:
    for body in NATIVE_BODIES:
        if body == text:
            return body
    raise CatalogueError(f"line {number}: native_body must be one of {', '.join(NATIVE_BODIES)}")


def _day(number: int, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise CatalogueError(f"line {number}: retires_on must be a day like 2026-11-23") from None
