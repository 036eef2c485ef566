"""Where a call may go, and which model: decided before anything is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from tests.support.core import ACCOUNT, CLAUDE, plan, principal

from tenantry.application.upstream import check_metadata, check_model, region_for
from tenantry.domain.catalogue import Catalogue, Resolved
from tenantry.domain.errors import BadRequest, ModelNotAllowed, NotFound, RegionNotAllowed
from tenantry.domain.tenant import Principal

CATALOGUE = Catalogue([CLAUDE])
BOTH = frozenset({"us-east-1", "eu-central-1"})
EU_ARN = f"arn:aws:bedrock:eu-central-1::foundation-model/{CLAUDE.id}"
ASIA_ARN = f"arn:aws:bedrock:ap-south-1::foundation-model/{CLAUDE.id}"


def someone(
    tenant: set[str] | None = None, by_plan: list[str] | None = None, **placement: Any
) -> Principal:
    found = principal(given=plan(regions_allowed=by_plan), **{"regions": BOTH, **placement})
    allowed = None if tenant is None else frozenset(tenant)
    return replace(found, tenant=replace(found.tenant, regions_allowed=allowed))


def resolved(name: str) -> Resolved:
    return CATALOGUE.resolve(name, {}, today=date(2026, 11, 23))


@pytest.mark.parametrize(
    ("who", "model", "region"),
    [
        (someone(), CLAUDE.id, "us-east-1"),
        (someone(), EU_ARN, "eu-central-1"),
        (someone({"eu-central-1"}), EU_ARN, "eu-central-1"),
        (someone({"us-east-1", "us"}), f"us.{CLAUDE.id}", "us-east-1"),
        (someone(), f"us.{CLAUDE.id}", "us-east-1"),
        (someone(regions=frozenset()), CLAUDE.id, "us-east-1"),
    ],
)
def test_a_region_that_is_allowed(who: Principal, model: str, region: str) -> None:
    assert region_for(who, resolved(model)) == region


@pytest.mark.parametrize(
    ("who", "model"),
    [
        (someone(), ASIA_ARN),
        (someone(regions=frozenset()), EU_ARN),
        (someone({"eu-central-1"}), CLAUDE.id),
        (someone(by_plan=["eu-central-1"]), CLAUDE.id),
        (someone({"us-east-1"}, by_plan=["eu-central-1"]), EU_ARN),
        (someone({"us-east-1"}), f"us.{CLAUDE.id}"),
        (someone({"us-east-1", "us"}), f"global.{CLAUDE.id}"),
        (someone(set()), CLAUDE.id),
        (someone(by_plan=[]), CLAUDE.id),
    ],
)
def test_a_region_that_is_not(who: Principal, model: str) -> None:
    with pytest.raises(RegionNotAllowed):
        region_for(who, resolved(model))


def test_a_profile_of_another_account_is_unknown() -> None:
    def arn(account: str) -> Resolved:
        return resolved(f"arn:aws:bedrock:us-east-1:{account}:inference-profile/us.{CLAUDE.id}")

    assert region_for(someone(), arn(ACCOUNT)) == "us-east-1"
    with pytest.raises(NotFound):
        region_for(someone(), arn("999999999999"))


@pytest.mark.parametrize("allowed", [{CLAUDE.id}, {"claude"}, {f"us.{CLAUDE.id}", "other"}])
def test_models_are_allowed_by_any_of_their_names(allowed: set[str]) -> None:
    who = someone()
    of_key = replace(who, models_allowed=frozenset(allowed))
    check_model(of_key, resolved(f"us.{CLAUDE.id}"))
    of_plan = principal(given=plan(models_allowed=sorted(allowed)))
    check_model(of_plan, resolved(f"us.{CLAUDE.id}"))


@pytest.mark.parametrize("allowed", [set(), {"other"}, {"CLAUDE"}, {f"eu.{CLAUDE.id}"}])
def test_both_plan_and_key_must_allow_a_model(allowed: set[str]) -> None:
    for who in (
        replace(someone(), models_allowed=frozenset(allowed)),
        principal(given=plan(models_allowed=sorted(allowed))),
        replace(
            principal(given=plan(models_allowed=sorted(allowed))),
            models_allowed=frozenset({CLAUDE.id}),
        ),
    ):
        with pytest.raises(ModelNotAllowed):
            check_model(who, resolved(CLAUDE.id))


def test_metadata_is_the_clients_but_for_our_keys() -> None:
    check_metadata({f"key{number}": "x" for number in range(12)})
    with pytest.raises(BadRequest, match="12"):
        check_metadata({f"key{number}": "x" for number in range(13)})
    for key in ("tid", "rid", "att", "env"):
        with pytest.raises(BadRequest, match=f"{key} is reserved"):
            check_metadata({key: "tnt_other"})
