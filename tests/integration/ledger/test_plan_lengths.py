"""A plan that is applied has vectors of a length that its embedding model makes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.shipped import bedrock_models
from tenantry.domain.plan_values import PlanError

PROFILE = "arn:aws:bedrock:us-east-1:111111111111:application-inference-profile/abc123"
LENGTHS = {
    "amazon.titan-embed-text-v1": [1_536],
    "amazon.titan-embed-g1-text-02": [1_536],
    "amazon.titan-embed-text-v2:0": [256, 512, 1_024],
    "amazon.titan-embed-image-v1": [256, 384, 1_024],
    "cohere.embed-english-v3": [1_024],
    "cohere.embed-multilingual-v3": [1_024],
    "cohere.embed-v4:0": [256, 512, 1_024, 1_536],
}
ABSENT = {model: 512 if 512 in made else made[-1] for model, made in LENGTHS.items()}


async def applied(world: World, **table: Any) -> int:
    [plan] = await world.control.apply_plans({"standard": table})
    return plan.embedding_dimensions


def test_each_length_that_a_model_makes_and_no_other(database: Database) -> None:
    async def body(world: World) -> None:
        await world.control.apply_models(bedrock_models())
        known = {m.id for m in await world.control.list_models() if m.kind == "embedding"}
        assert known - LENGTHS.keys() == {"amazon.nova-2-multimodal-embeddings-v1:0"}
        for model, made in LENGTHS.items():
            for length in made:
                table = {"embedding_model": model, "embedding_dimensions": length}
                assert await applied(world, **table) == length
            assert await applied(world, embedding_model=model) == ABSENT[model]
            words = f"plan standard: embedding_dimensions: {model} makes vectors of "
            before = await world.control.list_plans()
            for length in {256, 300, 384, 512, 1_024, 1_536} - set(made):
                with pytest.raises(PlanError, match=f"{words}.*{made[-1]:,} numbers"):
                    await applied(world, embedding_model=model, embedding_dimensions=length)
            assert await world.control.list_plans() == before

    in_world(database, body)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"embedding_dimensions": 1_536}, "titan-embed-text-v2:0 makes vectors of 256, 512 or"),
        (
            {"embedding_model": "titan-embed-v2", "embedding_dimensions": 384},
            "titan-embed-text-v2:0 makes vectors of 256, 512 or 1,024 numbers",
        ),
        (
            {"embedding_model": "us.cohere.embed-v4:0", "embedding_dimensions": 384},
            "cohere.embed-v4:0 makes vectors of 256, 512, 1,024 or 1,536 numbers",
        ),
        (
            {"embedding_model": "amazon.nova-2-multimodal-embeddings-v1:0"},
            "embedding_model: documents cannot be embedded with amazon.nova-2-multimodal",
        ),
    ],
)
def test_also_by_an_alias_a_profile_or_the_default(
    database: Database, table: dict[str, Any], message: str
) -> None:
    async def body(world: World) -> None:
        await world.control.apply_models(bedrock_models())
        with pytest.raises(PlanError, match=message):
            await applied(world, **table)

    in_world(database, body)


def test_an_arn_may_stand_for_any_model(database: Database) -> None:
    async def body(world: World) -> None:
        await world.control.apply_models(bedrock_models())
        assert await applied(world, embedding_model=PROFILE, embedding_dimensions=1_536) == 1_536
        assert await applied(world, embedding_model=PROFILE) == 512

    in_world(database, body)


def test_what_was_stored_before_is_read_and_stays_until_it_is_applied(database: Database) -> None:
    async def body(world: World) -> None:
        await world.control.apply_models(bedrock_models())
        first = "amazon.titan-embed-text-v1"
        await world.control.apply_plans({"standard": {"markup": "3"}})
        [before] = await world.control.list_plans()
        await world.as_superuser(
            "SET session_replication_role = replica; UPDATE tenantry.plan SET definition ="
            f""" definition || '{{"embedding_model": "{first}"}}' WHERE name = 'standard'"""
        )
        bearer = world.keys["anna"].bearer
        plan = (await world.directory.by_bearer(bearer, fresh=True)).tenant.plan
        assert (plan.embedding_model, plan.embedding_dimensions) == (first, 512)
        table = {"markup": "3", "embedding_model": first}
        [after] = await world.control.apply_plans({"standard": table})
        assert (after.version, after.embedding_dimensions) == (before.version + 1, 1_536)
        [again] = await world.control.apply_plans({"standard": table})
        assert again == after

    in_world(database, body)
