"""Over the wire: an ARN is its model; what is unknown or unpriced never leaves."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.support.metered import CLAUDE, NOVA, REGIONAL, UNCACHED, MeteredStack
from tests.support.stack import ACCOUNTS, REGIONS
from tests.support.stack_clients import converse_path

from tenantry.adapters.postgres.control import PostgresControl

COST = Decimal("0.0105")


def test_an_arn_is_its_model(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    arn = f"arn:aws:bedrock:us-east-1::foundation-model/{CLAUDE}"
    ask = metered.ask(CLAUDE, 1_000, 500)
    answer = metered.boto3(anna).converse(**{**ask, "modelId": arn})
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-tenantry-charge"] == "0.0315 USD"
    usage = metered.api(anna).get("/v1/usage?group_by=model").body["data"]
    assert [row["model"] for row in usage] == [CLAUDE]
    assert metered.posted(anna).cost == COST
    metered.agree(anna, bert)


def test_a_geo_profile_has_prices_of_its_own(metered: MeteredStack) -> None:
    """`us.` + model is priced under its own key, by the edition as shipped."""
    anna, bert = metered.tenants()
    ask = metered.ask(CLAUDE, 1_000, 500)
    for model in (
        f"us.{CLAUDE}",
        f"arn:aws:bedrock:us-east-1:{ACCOUNTS['pool']}:inference-profile/us.{CLAUDE}",
    ):
        metered.boto3(anna).converse(**{**ask, "modelId": model})
    posted = metered.posted(anna)
    assert posted.cost == 2 * Decimal("0.00385"), "1.10 in and 5.50 out"
    metered.agree(anna, bert)


def test_a_region_has_prices_of_its_own(metered: MeteredStack) -> None:
    """The provider bills the region that is called; the ARN names it."""
    anna, bert = metered.tenants()
    ask = metered.ask(REGIONAL, 1_000, 500)
    for region in REGIONS:
        arn = f"arn:aws:bedrock:{region}::foundation-model/{REGIONAL}"
        metered.boto3(anna).converse(**{**ask, "modelId": arn})
    assert metered.posted(anna).cost == Decimal("0.0015") + Decimal("0.0030")
    metered.agree(anna, bert)


def test_bought_hours_have_no_price_by_the_token(metered: MeteredStack) -> None:
    """A provisioned model is known by its placement; without a row of its ARN it is refused."""
    arn = f"arn:aws:bedrock:us-east-1:{ACCOUNTS['pool']}:provisioned-model/abc123def456"

    async def provide(control: PostgresControl) -> None:
        [pool] = [one for one in await control.list_placements() if one.id == "pool"]
        await control.apply_placement(replace(pool, inference_profiles={arn: NOVA}))

    metered.control(provide)
    anna, bert = metered.tenants()
    body = metered.prompt(NOVA, 50)
    status, headers, answer = metered.http("POST", converse_path(arn), body, tenant=anna)
    assert (status, headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert b"provisioned-model/abc123def456: no price" in answer
    assert_untouched(metered, anna)
    metered.agree(anna, bert)


NOWHERE = [
    ("no.such-model-v1:0", 404, "ResourceNotFoundException"),
    ("arn:aws:bedrock:us-east-1::foundation-model/no.such", 404, "ResourceNotFoundException"),
    (
        "arn:aws:bedrock:us-east-1:111111111111:application-inference-profile/x",
        404,
        "ResourceNotFoundException",
    ),
    (
        f"arn:aws:bedrock:us-east-1:999999999999:inference-profile/us.{CLAUDE}",
        404,
        "ResourceNotFoundException",
    ),
    ("arn:aws:bedrock:us-east-1:111111111111:prompt/ABCDEFGHIJ", 404, "ResourceNotFoundException"),
    (f"moon.{CLAUDE}", 404, "ResourceNotFoundException"),
    ("anthropic.claude-3-sonnet-20240229-v1:0", 400, "ValidationException"),  # retired
    ("openai.gpt-5.4", 400, "ValidationException"),  # no price
    (f"au.{NOVA}", 400, "ValidationException"),  # no price for that profile
]


@pytest.mark.parametrize(("model", "status", "kind"), NOWHERE)
def test_refused_before_dispatch(metered: MeteredStack, model: str, status: int, kind: str) -> None:
    anna, bert = metered.tenants()
    for stream in (False, True):
        reply = metered.http(
            "POST", converse_path(model, stream), metered.prompt(NOVA, 50), tenant=anna
        )
        assert (reply[0], reply[1].get("x-amzn-errortype")) == (status, kind), reply[2]
    assert_untouched(metered, anna)
    metered.agree(anna, bert)


def test_a_class_without_a_price(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    marker = {"cachePoint": {"type": "default"}}
    sdk = metered.boto3(anna)
    ask: dict[str, Any] = {"modelId": UNCACHED, **metered.prompt(UNCACHED, 2_000)}
    with pytest.raises(ClientError) as refused:
        sdk.converse(**ask, system=[{"text": "Be brief."}, marker])
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert "no price for cached prompts" in refused.value.response["Error"]["Message"]
    assert_untouched(metered, anna)
    sdk.converse(**ask, inferenceConfig={"maxTokens": 10})  # without the class: served
    metered.agree(anna, bert)


def assert_untouched(metered: MeteredStack, tenant: Any) -> None:
    posted = metered.posted(tenant)
    assert (list(posted.attempts), list(posted.open)) == ([], [])
    assert metered.bill(tenant) == {}
