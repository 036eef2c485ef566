"""What a caller names is one known model, or refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.core import ACCOUNT, CLAUDE, NOVA

from tenantry.domain.catalogue import Catalogue, Model, Resolved
from tenantry.domain.errors import ModelRetired, NotFound

TODAY = date(2026, 11, 23)
OLD = replace(CLAUDE, id="anthropic.claude-old-v1:0", alias="old", retires_on=TODAY)
NEXT = replace(CLAUDE, id="anthropic.claude-next-v1:0", alias=None, retires_on=date(2026, 11, 24))
CATALOGUE = Catalogue([CLAUDE, NOVA, OLD, NEXT])
REGIONAL = f"arn:aws:bedrock:us-east-1::foundation-model/{CLAUDE.id}"
GEO_ARN = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.{CLAUDE.id}"
PROFILE = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/abc123"


def resolve(name: str, profiles: dict[str, str] | None = None) -> Resolved:
    return CATALOGUE.resolve(name, profiles or {}, today=TODAY)


@pytest.mark.parametrize(
    ("name", "upstream", "price_key"),
    [
        (CLAUDE.id, CLAUDE.id, "claude"),
        ("claude", CLAUDE.id, "claude"),
        (f"us.{CLAUDE.id}", f"us.{CLAUDE.id}", "us.claude"),
        (f"global.{CLAUDE.id}", f"global.{CLAUDE.id}", "global.claude"),
        (REGIONAL, REGIONAL, "claude"),
        (GEO_ARN, GEO_ARN, "us.claude"),
    ],
)
def test_ids_aliases_profiles_and_arns(name: str, upstream: str, price_key: str) -> None:
    assert resolve(name) == Resolved(CLAUDE, upstream, price_key)


@pytest.mark.parametrize("inner", [CLAUDE.id, "claude", REGIONAL])
def test_an_application_profile_is_its_model(inner: str) -> None:
    assert resolve(PROFILE, {PROFILE: inner}) == Resolved(CLAUDE, PROFILE, "claude")


def test_a_profile_of_a_profile_keeps_its_price() -> None:
    assert resolve(PROFILE, {PROFILE: f"us.{CLAUDE.id}"}).price_key == "us.claude"


@pytest.mark.parametrize(
    "name",
    ["", "nobody", "anthropic.claude-none-v1:0", f"us.us.{CLAUDE.id}", f"zz.{CLAUDE.id}", PROFILE,
     "arn:aws:bedrock:us-east-1:1:custom-model/x", f"{CLAUDE.id} ", CLAUDE.id.upper(), "x" * 5_000],
)  # fmt: skip
def test_what_is_not_known_is_not_found(name: str) -> None:
    with pytest.raises(NotFound) as told:
        resolve(name)
    assert len(told.value.message) < 300


def test_a_profile_that_names_itself_ends() -> None:
    with pytest.raises(NotFound):
        resolve(PROFILE, {PROFILE: PROFILE})


@pytest.mark.parametrize("name", [OLD.id, "old", f"us.{OLD.id}"])
def test_a_model_is_refused_from_the_day_it_retires(name: str) -> None:
    with pytest.raises(ModelRetired, match="2026-11-23"):
        resolve(name)
    assert resolve(NEXT.id).model is NEXT


@given(st.text())
def test_no_name_raises_anything_else(name: str) -> None:
    try:
        resolve(name)
    except (NotFound, ModelRetired):
        return
    assert name in (CLAUDE.id, NOVA.id, NEXT.id, "claude")


PROVISIONED = "arn:aws:bedrock:us-east-1:111111111111:provisioned-model/abc123def456"
APPLICATION = "arn:aws:bedrock:us-east-1:111111111111:application-inference-profile/xyz123"


def test_a_profile_has_its_models_price_and_bought_hours_their_own() -> None:
    model = Model("amazon.nova-pro-v1:0", "nova", "chat", 10, 10, "pro")
    profiles = {PROVISIONED: model.id, APPLICATION: f"us.{model.id}"}
    catalogue = Catalogue([model])
    today = date(2026, 11, 1)
    profile = catalogue.resolve(APPLICATION, profiles, today=today)
    assert (profile.upstream_id, profile.price_key) == (APPLICATION, "us.pro")
    assert profile.profile_prefix == "us"
    bought = catalogue.resolve(PROVISIONED, profiles, today=today)
    assert (bought.model, bought.upstream_id) == (model, PROVISIONED)
    assert bought.price_key == PROVISIONED, "never its model's price by the token"
    assert bought.profile_prefix is None
    with pytest.raises(NotFound):
        catalogue.resolve(PROVISIONED, {}, today=today)
