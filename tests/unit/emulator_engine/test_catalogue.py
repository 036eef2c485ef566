"""How identifiers name models."""

from __future__ import annotations

import pytest

from bedrock_emulator.engine import EmulatedError
from bedrock_emulator.engine.catalogue import catalogue, resolve

ACCOUNT, REGION = "111122223333", "us-east-1"
BASE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
FOUNDATION = f"arn:aws:bedrock:{REGION}::foundation-model/{BASE}"
AIP = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:application-inference-profile/abc123"
SYSTEM = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:inference-profile/us.{BASE}"


def lookup(arn: str) -> str | None:
    return {AIP: SYSTEM, f"{AIP}/loop": f"{AIP}/loop"}.get(arn)


@pytest.mark.parametrize(
    "model_id",
    [
        BASE,
        f"us.{BASE}",
        f"global.{BASE}",
        FOUNDATION,
        SYSTEM,
        AIP,
    ],
)
def test_every_form_names_the_same_model(model_id: str) -> None:
    assert resolve(model_id, ACCOUNT, REGION, lookup).model.id == BASE


def test_a_created_profile_of_a_cross_region_profile_keeps_its_scope() -> None:
    assert resolve(AIP, ACCOUNT, REGION, lookup).profile == "us"


@pytest.mark.parametrize(
    ("model_id", "status", "words"),
    [
        ("anthropic.claude-9", 400, "The provided model identifier is invalid."),
        (f"xx.{BASE}", 400, "The provided model identifier is invalid."),
        (f"eu.{BASE}", 400, "The provided model identifier is invalid."),
        (f"us.us.{BASE}", 400, "The provided model identifier is invalid."),
        ("", 400, "The provided model identifier is invalid."),
        (f"{AIP}/loop", 400, "The provided model identifier is invalid."),
        (SYSTEM.replace("us.", ""), 400, "The provided model identifier is invalid."),
        (FOUNDATION.replace(BASE, f"us.{BASE}"), 400, "The provided model identifier is invalid."),
        (FOUNDATION.replace(BASE, BASE + "x"), 400, "The provided model identifier is invalid."),
        (AIP + "x", 404, "Could not find resource"),
        (AIP.replace(ACCOUNT, "444455556666"), 403, "not authorized"),
        (AIP.replace(REGION, "eu-west-1"), 400, "service region"),
        ("arn:aws:s3:::bucket", 400, "ARN"),
    ],
)
def test_what_names_nothing_is_refused(model_id: str, status: int, words: str) -> None:
    with pytest.raises(EmulatedError, match=words) as caught:
        resolve(model_id, ACCOUNT, REGION, lookup)
    assert caught.value.status == status


def test_a_profile_runs_inside_its_geography() -> None:
    resolved = resolve(f"eu.{BASE}", ACCOUNT, "eu-west-1")
    places = {resolved.inference_region(str(seed)) for seed in range(50)}
    assert len(places) > 1 and all(place.startswith("eu-") for place in places)
    assert resolve(BASE, ACCOUNT, REGION).inference_region("x") == REGION


def test_figures_of_the_catalogue_are_sound() -> None:
    assert len(catalogue()) > 80
    for model in catalogue().values():
        assert model.window > 0 and model.burndown in (1, 5)
        assert (model.max_output == 0) == (model.embeds or model.reranks)
        assert model.cache_min in (0, 1_024, 2_048, 4_096)
        assert "default" in model.tiers
    for model_id in (BASE, "anthropic.claude-opus-4-1-20250805-v1:0", "anthropic.claude-opus-5"):
        assert catalogue()[model_id].burndown == 5
    assert catalogue()["amazon.nova-pro-v1:0"].burndown == 1
