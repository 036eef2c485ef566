"""The models that an API key may call: those that calls accept, and by those names."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from tests.support.core import (
    ACCOUNT,
    CLAUDE,
    NOVA,
    SYNTHETIC,
    edition,
    plan,
    principal,
    rows,
)

from tenantry.domain.catalogue import Catalogue, Model
from tenantry.domain.errors import ModelNotFound
from tenantry.domain.tenant import Principal
from tenantry.entrypoints.http.openai.models import Choice

UNPRICED = Model("openai.gpt-new", "openai", "chat", 272_000, 64_000, "gpt-new", alias="new")
FAR = replace(NOVA, id="amazon.nova-far-v1:0", price_key="far")
OLD = replace(NOVA, id="amazon.nova-old-v1:0", alias="old", retires_on=date(2026, 1, 1))
CATALOGUE = Catalogue([CLAUDE, NOVA, UNPRICED, FAR, OLD])
PRICES = edition(
    [
        line
        for key in ("claude", "nova", "us.nova", "far@eu-west-1")
        for line in rows(key, SYNTHETIC)
    ]
)
PROFILE = f"us.{NOVA.id}"
ARN = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/{PROFILE}"
OWN = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/abc123"
HOURLY = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:provisioned-model/abc123"
ALL = [CLAUDE.id, "claude", NOVA.id]


def choice(asking: Principal | None = None) -> Choice:
    return Choice(asking or principal(), CATALOGUE, PRICES, date(2026, 11, 1))


def ids(asking: Principal | None = None) -> list[str]:
    return [model["id"] for model in choice(asking).all()]


def test_what_has_no_price_cannot_be_called_and_is_not_listed() -> None:
    assert ids() == ALL
    for name in (UNPRICED.id, "new", "old", f"eu.{NOVA.id}"):
        with pytest.raises(ModelNotFound):
            choice().one(name)


def test_a_region_has_prices_of_its_own() -> None:
    assert ids(principal(region="eu-west-1")) == [*ALL, FAR.id]


def test_what_runs_outside_of_the_allowed_regions_is_not_listed() -> None:
    assert ids(principal(given=plan(regions_allowed=["eu-west-1"]))) == []
    inside = principal(given=plan(regions_allowed=["us-east-1"], models_allowed=[PROFILE, NOVA.id]))
    assert ids(inside) == [NOVA.id]


@pytest.mark.parametrize("name", [PROFILE, ARN])
def test_a_key_for_a_profile_alone_sees_it(name: str) -> None:
    narrow = replace(principal(), models_allowed=frozenset({name}))
    shown = {"id": name, "object": "model", "created": 0, "owned_by": "amazon"}
    assert choice(narrow).all() == [shown]
    assert choice(narrow).one(name) == shown
    for other in (NOVA.id, CLAUDE.id, "claude"):
        with pytest.raises(ModelNotFound):
            choice(narrow).one(other)


def test_profiles_of_the_placement_are_its_tenants_alone() -> None:
    own = principal(inference_profiles={OWN: NOVA.id, HOURLY: NOVA.id})
    assert ids(own) == [*ALL, OWN], "bought hours have no price by the token"
    assert choice(own).one(OWN)["owned_by"] == "amazon"
    with pytest.raises(ModelNotFound):
        choice(principal("bolt")).one(OWN)


def names_that_calls_accept() -> list[Any]:
    return [
        NOVA.id,
        "claude",
        PROFILE,
        ARN,
        f"arn:aws:bedrock:us-east-1::foundation-model/{NOVA.id}",
    ]


@pytest.mark.parametrize("name", names_that_calls_accept())
def test_whatever_a_call_may_name_is_there(name: str) -> None:
    assert choice().one(name)["id"] == name


@pytest.mark.parametrize(
    "name", ["nothing", "", ARN.replace(ACCOUNT, "999999999999"), ARN.replace("east", "west")]
)
def test_what_no_call_may_name_is_not(name: str) -> None:
    with pytest.raises(ModelNotFound):
        choice().one(name)
