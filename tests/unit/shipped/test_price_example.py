"""The example of a price file is whole: it parses, and no field of the form is missing."""

from __future__ import annotations

import tomllib
from importlib.resources import files

from tenantry.domain.price import edition_from_cells
from tenantry.domain.price_file import (
    DISCOUNT_FIELDS,
    FILE_FIELDS,
    OVER,
    price_file_from_toml,
)
from tenantry.domain.usage import PRICED_CLASSES

TEXT = files("tenantry.data").joinpath("prices_example.toml").read_text("utf-8")


def test_it_parses_to_prices_and_discounts() -> None:
    found = price_file_from_toml(TEXT, name="example")
    assert found.layer
    assert found.effective_from is not None
    assert {d.percent is None for d in found.discounts} == {True, False}
    edition = edition_from_cells(
        found.rows, version=1, effective_from=found.effective_from, source=found.source
    )
    steps = edition.of("openai.gpt-6-sol").tiers["default"]
    assert [step.over_tokens for step in steps] == [0, 272_000]
    assert steps[1].rates is None


def test_every_field_of_the_form_stands_in_it() -> None:
    document = tomllib.loads(TEXT)
    assert set(document) == FILE_FIELDS
    assert {name for one in document["discounts"] for name in one} == DISCOUNT_FIELDS
    tiers = [classes for model in document["models"].values() for classes in model.values()]
    named = {name for classes in tiers for name in classes}
    # Classes that came later than this page's form may be priced per policy; none is left out.
    assert named == {token_class.value for token_class in PRICED_CLASSES} | {OVER}
