"""AWS's price list becomes prices, or says what it does not know."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.support.price_list import (
    BEDROCK,
    FOUNDATION_MODELS,
    Offered,
    marketplace,
    offer_csv,
    offer_json,
)

from tenantry.adapters.shipped import bedrock_models, bedrock_prices, billing_names
from tenantry.domain.billing_name import BillingNames, billing_names_from_csv
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.model_ids import Scope
from tenantry.domain.offer_file import OfferFile, offer_from_csv, offer_from_json
from tenantry.domain.price import PriceError, edition_from_cells
from tenantry.domain.price_list import PriceList, UnknownNames, long_steps, price_list
from tenantry.domain.usage import TokenClass
from tenantry.domain.usage_type import Aside, Counted, usage_type

NAMES = BillingNames(billing_names(), Catalogue(bedrock_models()))
SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"


def listed(*offers: OfferFile, **options: object) -> PriceList:
    rows = [row for offer in offers for row in offer.rows]
    given = {"home_region": "us-east-1", "over_of": long_steps(bedrock_prices()), **options}
    return price_list(rows, NAMES, **given)  # type: ignore[arg-type]


def prices(found: PriceList) -> dict[tuple[str, str, int, str], str]:
    return {(key, tier, int(over), name): price for _, (key, tier, over, name, price) in found.rows}


@pytest.mark.parametrize("form", ["json", "csv"])
def test_both_service_codes_in_both_forms(form: str) -> None:
    codes = {"AmazonBedrock": BEDROCK, "AmazonBedrockFoundationModels": FOUNDATION_MODELS}
    offers = [
        offer_from_json(offer_json(code, rows))
        if form == "json"
        else offer_from_csv(offer_csv(code, rows).splitlines())
        for code, rows in codes.items()
    ]
    found = listed(*offers)
    expected = {
        ("amazon.nova-pro-v1:0", "default", 0, "uncached_in"): "0.8",
        ("us.amazon.nova-pro-v1:0", "default", 0, "uncached_in"): "0.8",
        ("amazon.nova-pro-v1:0@eu-west-1", "default", 0, "uncached_in"): "0.92",
        ("eu.amazon.nova-pro-v1:0@eu-west-1", "default", 0, "uncached_in"): "0.92",
        ("amazon.nova-pro-v1:0", "flex", 0, "uncached_in"): "0.4",
        ("amazon.nova-2-lite-v1:0", "default", 0, "uncached_in"): "0.33",
        ("global.amazon.nova-2-lite-v1:0", "default", 0, "uncached_in"): "0.3",
        ("amazon.titan-embed-text-v2:0", "default", 0, "embedding"): "0.02",
        ("qwen.qwen3-coder-next", "priority", 0, "out"): "2.1",
        ("amazon.rerank-v1:0@us-west-2", "default", 0, "rerank_units"): "1000",
        (f"us.{SONNET}", "default", 0, "uncached_in"): "3.3",
        (f"us.{SONNET}", "default", 200_000, "uncached_in"): "6.6",
        (f"global.{SONNET}", "default", 0, "uncached_in"): "3",
        (f"global.{SONNET}", "batch", 0, "out"): "7.5",
        (f"global.{SONNET}", "default", 0, "cache_write_5m"): "3.75",
        (f"global.{SONNET}", "default", 0, "cache_write_1h"): "6",
        ("global.anthropic.claude-opus-5", "default", 0, "cache_write_1h"): "10",
    }
    assert expected.items() <= prices(found).items()
    assert sum(found.left_out.values()) == 5
    assert {"guardrail policies", "optimised latency"} <= set(found.left_out)


def test_what_is_not_known_stops_it_and_is_listed() -> None:
    rows = (
        *BEDROCK,
        Offered("USE1-NovaPro-thinking-tokens", "1"),
        Offered("USE1-Zebra9-input-tokens", "1"),
        Offered("USE1-NovaMicro-input-tokens", "1", "1G tokens"),
    )
    offer = offer_from_json(offer_json("AmazonBedrock", rows))
    with pytest.raises(UnknownNames) as refused:
        listed(offer)
    for named in ("USE1-NovaPro-thinking-tokens", "Zebra9", "1G tokens"):
        assert named in str(refused.value)
    assert str(refused.value).startswith("3 names")
    ignored = listed(offer, ignore=["USE1-NovaPro-thinking-*", "USE1-Zebra9-*", "USE1-NovaMicro-*"])
    assert ignored.left_out["ignored as asked"] == 3


def test_a_long_context_needs_its_step() -> None:
    offer = offer_from_json(offer_json("AmazonBedrockFoundationModels", FOUNDATION_MODELS))
    with pytest.raises(UnknownNames, match="long context"):
        listed(offer, over_of=long_steps(None))


def test_what_is_said_of_a_geo_profile_goes_before_what_is_implied() -> None:
    product = "Claude Sonnet 4.6"
    rows = (
        marketplace("InputTokenCount_Geo", "3.3", product),
        marketplace("InputTokenCount", "3", product),
        marketplace("OutputTokenCount", "15", product),
    )
    found = prices(listed(offer_from_json(offer_json("AmazonBedrockFoundationModels", rows))))
    model = "anthropic.claude-sonnet-4-6"
    assert found == {
        (model, "default", 0, "uncached_in"): "3",
        (f"us.{model}", "default", 0, "uncached_in"): "3.3",
        (model, "default", 0, "out"): "15",
        (f"us.{model}", "default", 0, "out"): "15",
    }


def test_two_prices_for_one_thing_stop_it() -> None:
    rows = (*BEDROCK, Offered("USE1-amazon.nova-pro-input-tokens", "0.0009"))
    with pytest.raises(PriceError, match=r"NovaPro.*give 0\.8 and 0\.9"):
        listed(offer_from_json(offer_json("AmazonBedrock", rows)))


@pytest.mark.parametrize(
    ("rows", "code", "message"),
    [
        ((Offered("USE1-NovaPro-input-tokens", "1", currency="CNY"),), "AmazonBedrock", "USD"),
        ((Offered("USE1-NovaPro-input-tokens", "1", end="1000"),), "AmazonBedrock", "quantity"),
        *(
            ((Offered("USE1-NovaPro-input-tokens", usd),), "AmazonBedrock", "no price")
            for usd in ("dear", "NaN", "sNaN", "Infinity", "-1", "0." + "1" * 200)
        ),
        (BEDROCK, "AmazonEC2", "not one of Amazon Bedrock's"),
    ],
)
def test_a_file_of_another_kind_is_refused(rows, code: str, message: str) -> None:
    with pytest.raises(PriceError, match=message):
        offer_from_json(offer_json(code, rows))
    with pytest.raises(PriceError, match=message):
        offer_from_csv(offer_csv(code, rows).splitlines())


@pytest.mark.parametrize("text", ["{}", "[]", "nonsense", '{"offerCode": "AmazonBedrock"}'])
def test_rubbish_is_no_offer_file(text: str) -> None:
    with pytest.raises(PriceError, match="not an offer file"):
        offer_from_json(text)
    with pytest.raises(PriceError, match="not an offer file"):
        offer_from_csv(text.splitlines())


def test_the_rows_make_an_edition() -> None:
    found = listed(offer_from_json(offer_json("AmazonBedrock", BEDROCK)))
    edition = edition_from_cells(
        found.rows, version=1, effective_from=bedrock_prices().effective_from, source="list"
    )
    assert edition.key_in("amazon.nova-pro-v1:0", "eu-west-1") == "amazon.nova-pro-v1:0@eu-west-1"
    assert edition.key_in("amazon.nova-pro-v1:0", "us-west-2") == "amazon.nova-pro-v1:0"
    rates = edition.of("amazon.nova-pro-v1:0@eu-west-1").rates("default", 1)
    assert rates == {TokenClass.UNCACHED_IN: Decimal("0.92")}


IN, READ = TokenClass.UNCACHED_IN, TokenClass.CACHE_READ
LONG_WRITE = TokenClass.CACHE_WRITE_1H


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("USE1-NovaMicro-input-tokens", Counted("NovaMicro", IN)),
        ("Llama4-Scout-17B-input-tokens", Counted("Llama4-Scout-17B", IN)),
        (
            "USE1-Nova2.0Pro-text-input-tokens-priority-cross-region-global",
            Counted("Nova2.0Pro", IN, "priority", Scope.GLOBAL),
        ),
        (
            "USE1-Claude4.5Sonnet-cache-write-input-token-count-1-hour",
            Counted("Claude4.5Sonnet", LONG_WRITE),
        ),
        (
            "EU-MP:EU_cache_read_tokens_long_ctx_global_standard-Units",
            Counted("", READ, "default", Scope.GLOBAL, True, 1_000_000),
        ),
        (
            "USE1-MP:USE1_cache_write_tokens_30m_standard-Units",
            Counted("", TokenClass.CACHE_WRITE_5M, unit=1_000_000),
        ),
        ("USE1-NovaPro-input-tokens-batch-flex", None),
        ("USE1-NovaPro-input-tokens-1h", None),
        ("USE1-NovaPro-thinking-tokens", None),
        ("BoxUsage:m5.large", None),
    ],
)
def test_a_usage_type_is_read_whole_or_not_at_all(text: str, expected: Counted | None) -> None:
    assert usage_type(text) == expected


def test_what_is_known_and_not_ours_says_whether_calls_made_it() -> None:
    hours = usage_type("USE1-MP:USE1_ProvisionedThroughput_NoCommit_ModelUnits_Usage-Units")
    assert isinstance(hours, Aside)
    assert not hours.by_request
    mantle = usage_type("USE1-openai.gpt-oss-120b-mantle-input-tokens-standard")
    assert isinstance(mantle, Aside)
    assert mantle.by_request


def test_every_shipped_name_is_a_model_of_the_catalogue() -> None:
    known = {model.id for model in bedrock_models()}
    assert set(billing_names().values()) <= known


def test_a_name_is_found_exactly_or_not() -> None:
    assert NAMES.model("Claude Sonnet 4.6 (Amazon Bedrock Edition)").id.endswith("sonnet-4-6")
    assert NAMES.model("openai.gpt-oss-120b").id == "openai.gpt-oss-120b-1:0"
    assert NAMES.model("Claude Sonnet 4") != NAMES.model("Claude Sonnet 4.5")
    assert NAMES.model("claude sonnet 4.6") is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,b"], "columns must be"),
        (["name,model", "x,y", "x,z"], "line 3: x is given twice"),
        (["name,model", "x"], "line 2: 2 columns"),
    ],
)
def test_a_wrong_table_of_names_is_refused(lines: list[str], message: str) -> None:
    with pytest.raises(PriceError, match=message):
        billing_names_from_csv(lines)
