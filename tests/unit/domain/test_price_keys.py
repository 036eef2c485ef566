"""A price key that no model has is found, and the one that was meant is named."""

from __future__ import annotations

import pytest

from tenantry.adapters import shipped
from tenantry.domain.catalogue import Catalogue, Model
from tenantry.domain.price import GUARDRAILS
from tenantry.domain.price_keys import NEAREST_MAX, UnknownKey, unknown_keys

BEDROCK = Catalogue(shipped.bedrock_models())
PROVISIONED = "arn:aws:bedrock:us-east-1:111111111111:provisioned-model/abc"
OWN = Catalogue(
    [
        Model("amazon.nova-micro-v1:0", "nova", "chat", 1, 1, "amazon.nova-micro-v1:0", "micro"),
        Model("acme.model-v1:0", "nova", "chat", 1, 1, "acme.priced-otherwise"),
    ]
)


def test_every_shipped_price_is_of_a_shipped_model() -> None:
    assert unknown_keys(shipped.bedrock_prices().models, BEDROCK) == []


@pytest.mark.parametrize(
    "key",
    [
        "amazon.nova-micro-v1:0",
        "us.amazon.nova-micro-v1:0",
        "global.acme.priced-otherwise",
        "amazon.nova-micro-v1:0@eu-west-1",
        "eu.amazon.nova-micro-v1:0@eu-west-1",
        GUARDRAILS,
        f"{GUARDRAILS}@eu-west-1",
        PROVISIONED,
    ],
)
def test_what_a_request_may_be_priced_by_is_known(key: str) -> None:
    assert unknown_keys([key], OWN) == []


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("amazon.nova-micro-v1", "amazon.nova-micro-v1:0"),
        ("us.amazon.nova-micro-v1@us-east-1", "us.amazon.nova-micro-v1:0@us-east-1"),
        ("usa.amazon.nova-micro-v1:0", "amazon.nova-micro-v1:0"),
        ("acme.model-v1:0", "acme.priced-otherwise"),  # its id, where a price key is asked for
        ("micro", "amazon.nova-micro-v1:0"),  # its alias
        (PROVISIONED.replace("provisioned", "custom"), None),
        ("z", None),
    ],
)
def test_what_no_request_is_priced_by_is_unknown(key: str, near: str | None) -> None:
    assert unknown_keys([key], OWN) == [UnknownKey(key, near)]


def test_of_many_keys_the_nearest_is_looked_for_of_some() -> None:
    many = [f"amazon.nova-micro-v{number:04}" for number in range(NEAREST_MAX + 5)]
    found = unknown_keys(many, OWN)
    assert [each.key for each in found] == many
    assert [each.near is not None for each in found] == [True] * NEAREST_MAX + [False] * 5
