"""The shipped price book says what its source says, and reads back what it writes."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tenantry.adapters.shipped import (
    bedrock_models,
    bedrock_prices,
    emulator_models,
    emulator_prices,
)
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.model_ids import Scope, parse_model_id
from tenantry.domain.price import (
    COLUMNS,
    GUARDRAILS,
    Unpriced,
    edition_from_csv,
    edition_to_rows,
)
from tenantry.domain.usage import TokenClass

IN, OUT, READ = TokenClass.UNCACHED_IN, TokenClass.OUT, TokenClass.CACHE_READ
SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"

# Sold through cross-region profiles alone: the base id has no price of its own.
PROFILE_ONLY = {
    "anthropic.claude-mythos-5",
    "openai.gpt-5.4",
    "openai.gpt-5.5",
    "openai.gpt-5.6-luna",
    "openai.gpt-5.6-sol",
    "openai.gpt-5.6-terra",
    "openai.gpt-6-astra",
    "openai.gpt-6.1-sol",
    "openai.gpt-6.1-terra",
    "xai.grok-4.6",
    "xai.grok-4.7",
    "zai.glm-5.3",
}


@pytest.fixture(scope="module")
def edition():
    return bedrock_prices()


@pytest.mark.parametrize(
    ("key", "tier", "prompt", "expected"),
    [
        ("amazon.nova-micro-v1:0", "default", 1, {IN: ".035", OUT: ".14", READ: ".00875"}),
        ("amazon.nova-pro-v1:0", "priority", 1, {IN: "1.4", OUT: "5.6"}),
        (SONNET, "default", 200_000, {IN: "3", OUT: "15", READ: ".3"}),
        (SONNET, "default", 200_001, {IN: "6", OUT: "22.5", READ: ".6"}),
        (SONNET, "batch", 200_001, {IN: "3", OUT: "11.25"}),
        (f"us.{SONNET}", "default", 200_001, {IN: "6.6", OUT: "24.75"}),
        (f"global.{SONNET}", "default", 1, {IN: "3", OUT: "15"}),
        ("anthropic.claude-haiku-5-5", "default", 100_000, {IN: ".1", OUT: ".5", READ: ".01"}),
        ("anthropic.claude-haiku-5-5", "default", 100_001, {IN: ".5", OUT: "2.5", READ: ".05"}),
        ("us.anthropic.claude-haiku-5-5", "default", 100_001, {IN: ".55", OUT: "2.75"}),
        ("openai.gpt-6-luna", "default", 272_000, {IN: ".1", OUT: ".5"}),
    ],
)
def test_a_price_is_that_of_tier_and_prompt_size(edition, key, tier, prompt, expected):
    rates = edition.of(key).rates(tier, prompt)
    assert {c: rates[c] for c in expected} == {c: Decimal(p) for c, p in expected.items()}


def test_what_is_not_a_token_has_its_own_class(edition):
    titan = edition.of("amazon.titan-embed-text-v2:0").rates("default", 1)
    assert titan == {TokenClass.EMBEDDING: Decimal(".02")}
    rerank = edition.of("cohere.rerank-v3-5:0").rates("default", 1)
    assert rerank == {TokenClass.RERANK_UNITS: Decimal(2_000)}


def test_every_gpt_from_5_4_on_is_unpriced_in_its_long_step(edition):
    keys = [k for k in edition.models if "openai.gpt-5" in k or "openai.gpt-6" in k]
    assert len(keys) >= 20
    for key in keys:
        for tier in edition.models[key].tiers:
            with pytest.raises(Unpriced, match="unpriced above 272000"):
                edition.of(key).rates(tier, 272_001)


def test_a_class_without_a_figure_has_no_price(edition):
    opus = edition.of("anthropic.claude-opus-4-1-20250805-v1:0").rates("default", 1)
    assert TokenClass.CACHE_WRITE_1H not in opus
    with pytest.raises(Unpriced):
        edition.of(SONNET).rates("priority", 1)


def test_every_key_is_an_id_that_bedrock_accepts(edition):
    references = {key: parse_model_id(key) for key in edition.models}
    assert [key for key, found in references.items() if found is None] == []
    scopes = {found.scope for found in references.values()}
    assert scopes == {Scope.REGIONAL, Scope.GEO, Scope.GLOBAL}


def test_the_csv_reads_back_what_it_writes(edition):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for key, tier, over, name, price in edition_to_rows(edition):
        writer.writerow((key, tier, over, name, "-" if price is None else format(price, "f")))
    again = edition_from_csv(
        text.getvalue().splitlines(),
        version=edition.version,
        effective_from=datetime(2026, 11, 23, tzinfo=UTC),
        source=edition.source,
    )
    assert again == edition


def test_every_model_that_is_sold_has_its_prices(edition):
    needed = {
        "chat": {TokenClass.UNCACHED_IN, TokenClass.OUT},
        "embedding": {TokenClass.EMBEDDING},
        "rerank": {TokenClass.RERANK_UNITS},
    }
    unpriced = set()
    for model in bedrock_models():
        if model.retires_on is not None and model.retires_on <= date(2026, 11, 23):
            assert model.price_key not in edition.models
        elif model.price_key not in edition.models:
            unpriced.add(model.id)
        else:
            assert needed[model.kind] <= set(edition.of(model.price_key).rates("default", 1))
    assert unpriced == PROFILE_ONLY


def test_every_price_belongs_to_a_model_of_the_catalogue(edition):
    catalogue = Catalogue(bedrock_models())
    for key in edition.models.keys() - {GUARDRAILS}:
        assert catalogue.resolve(key, {}, today=date(2026, 11, 23)).price_key == key


def test_the_emulators_models_stay_apart(edition):
    prices, models = emulator_prices(), emulator_models()
    assert {model.price_key for model in models} == set(prices.models)
    assert not set(prices.models) & set(edition.models)
    assert not {m.id for m in models} & {m.id for m in bedrock_models()}
    assert set(prices.of("emulator.obedient-v1").tiers) == {"default", "batch", "flex", "priority"}
