"""What ships inside the package, read through importlib.resources.

Owns: finding the files and giving each its identity (version, date, source). Does not own: their
formats, which are the domain's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from tenantry.domain.billing_name import billing_names_from_csv
from tenantry.domain.catalogue import Model
from tenantry.domain.catalogue_file import models_from_csv
from tenantry.domain.plan_file import plan_tables_from_toml
from tenantry.domain.price import PriceEdition, edition_from_csv

BEDROCK_EDITION: Final = "bedrock-2026-11-23.csv"
BEDROCK_EFFECTIVE_FROM: Final = datetime(2026, 11, 23, tzinfo=UTC)
_PACKAGE: Final = "tenantry.data"
_MEDIA_TYPES: Final = {
    ".md": "text/markdown",
    ".txt": "text/plain",
    ".html": "text/html",
    ".pdf": "application/pdf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


@dataclass(frozen=True, slots=True)
class CorpusDocument:
    """A page of the demo's documentation; `corpus_bytes` gives it in its `media_type`."""

    set: str  # python, sqlite, postgresql
    file: str  # within the set
    title: str
    media_type: str
    licence: str
    source: str  # Debian package and version
    sha256: str


@dataclass(frozen=True, slots=True)
class CorpusQuestion:
    """A question with the file that holds its answer."""

    set: str
    question: str
    file: str


def bedrock_prices() -> PriceEdition:
    """The first edition of Amazon Bedrock's prices."""
    return edition_from_csv(
        _lines("prices", BEDROCK_EDITION),
        version=1,
        effective_from=BEDROCK_EFFECTIVE_FROM,
        source=BEDROCK_EDITION,
    )


def emulator_prices() -> PriceEdition:
    """Invented prices of the models that exist in the emulator alone."""
    return edition_from_csv(
        _lines("prices", "emulator.csv"),
        version=1,
        effective_from=BEDROCK_EFFECTIVE_FROM,
        source="emulator.csv",
    )


def bedrock_models() -> list[Model]:
    """The catalogue of Amazon Bedrock's models."""
    return models_from_csv(_lines("models.csv"))


def emulator_models() -> list[Model]:
    """The models that exist in the emulator alone."""
    return models_from_csv(_lines("emulator.csv"))


def billing_names() -> dict[str, str]:
    """What AWS calls the models on its price list and bill: catalogue ids by name."""
    return billing_names_from_csv(_lines("billing_names.csv"))


def plan_tables() -> dict[str, dict[str, Any]]:
    """free, pro and enterprise, as `domain.plan.plan_from` takes them."""
    return plan_tables_from_toml(_file("plans.toml").read_text("utf-8"))


def corpus() -> list[CorpusDocument]:
    """The demo's documents, in the order of their index."""
    index = json.loads(_file("corpus", "corpus.json").read_bytes())
    return [
        CorpusDocument(media_type=_MEDIA_TYPES[f".{row['file'].rpartition('.')[2]}"], **row)
        for row in index
    ]


def corpus_bytes(document: CorpusDocument) -> bytes:
    """A document of `corpus()` as it would be uploaded."""
    return _file("corpus", document.set, document.file).read_bytes()


def corpus_questions() -> list[CorpusQuestion]:
    """Questions that the demo's documents answer."""
    rows = json.loads(_file("corpus", "questions.json").read_bytes())
    return [CorpusQuestion(**row) for row in rows]


def _file(*path: str) -> Traversable:
    return files(_PACKAGE).joinpath(*path)


def _lines(*path: str) -> list[str]:
    return _file(*path).read_text("utf-8").splitlines()
