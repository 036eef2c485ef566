"""Which models of the catalogue a price key prices, and which key was meant where it prices none.

A key of no model is stored and asked for by no request: the model that was meant keeps its old
price, or has none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from tenantry.domain.catalogue import Catalogue
from tenantry.domain.model_ids import ModelKind, is_profile_prefix, parse_model_id
from tenantry.domain.price import GUARDRAILS

NEAREST_MAX: Final = 20  # keys of one file for which a nearest one is looked for


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """A key that prices no model; `near`: a key of the catalogue that is spelt much like it."""

    key: str
    near: str | None = None

    def __str__(self) -> str:
        return self.key if self.near is None else f"{self.key} (did you mean {self.near}?)"


def unknown_keys(keys: Iterable[str], catalogue: Catalogue) -> Sequence[UnknownKey]:
    """In order. A provisioned model's ARN is known to placements alone, so that any may be meant;
    the nearest is looked for, of the first `NEAREST_MAX`."""
    known = {model.price_key for model in catalogue} | {GUARDRAILS}
    unknown = [key for key in sorted(keys) if not _prices_something(key, known)]
    return [
        UnknownKey(key, _near(key, known, catalogue) if place < NEAREST_MAX else None)
        for place, key in enumerate(unknown)
    ]


def _prices_something(key: str, known: Collection[str]) -> bool:
    prefix, name, _ = _parts(key)
    reference = parse_model_id(name)
    if reference is not None and reference.kind is ModelKind.PROVISIONED_MODEL:
        return True
    return name in known and not (prefix and name == GUARDRAILS)


def _near(key: str, known: Collection[str], catalogue: Catalogue) -> str | None:
    """What a model's id or alias is priced by, else the key of which the least letters differ."""
    prefix, name, region = _parts(key)
    model = catalogue.named(name)
    if model is not None:
        return f"{prefix}{model.price_key}{region}"
    found = get_close_matches(name, sorted(known), n=1)
    return f"{prefix}{found[0]}{region}" if found else None


def _parts(key: str) -> tuple[str, str, str]:
    """`us.`, the model's own key, `@us-east-1`; the first and the last may be empty."""
    whole, at, region = key.partition("@")
    prefix, dot, name = whole.partition(".")
    if not is_profile_prefix(prefix):
        return "", whole, f"{at}{region}"
    return f"{prefix}{dot}", name, f"{at}{region}"
