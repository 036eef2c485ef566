"""A model that is throttled, down, hanging or answering rubbish: told, and never charged."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from tests.support.metered import MeteredStack, Posted
from tests.support.refusals import (
    AWAY,
    NO_TRACE,
    PAID,
    RUBBISH,
    THROTTLED,
    TIMEOUT,
    Ask,
    Refusal,
    refused,
    traces,
)
from tests.support.stack import ACCOUNTS, REGIONS, Tenant

from tenantry.domain.placement import Placement

STREAMED = frozenset(
    {"converse-stream", "invoke-stream", "chat-stream", "answers-stream", "generate-stream"}
)
# What goes wrong, what is told, and whether it may have been billed.
FAULTS: dict[str, tuple[dict[str, Any], Refusal, bool]] = {
    "throttled": ({"kind": "throttle"}, THROTTLED, False),
    "failing": ({"kind": "error", "status": 500}, AWAY, False),
    "away": (
        {"kind": "error", "status": 503, "code": "ServiceUnavailableException"},
        AWAY,
        False,
    ),
    "hanging": ({"kind": "hang", "after_events": 0}, TIMEOUT, True),
    "cut off": ({"kind": "cut", "after_events": 0}, AWAY, True),
    "a web page": ({"kind": "rubbish", "what": "html"}, RUBBISH, True),
    "not JSON": ({"kind": "rubbish", "what": "not_json"}, RUBBISH, True),
    "half a JSON": ({"kind": "rubbish", "what": "truncated_json"}, RUBBISH, True),
}
SEARCHING = frozenset(
    {"search", "answers", "answers-stream", "retrieve", "generate", "generate-stream"}
)
ANSWERING = frozenset({"answers-stream", "generate-stream"})
# Rerank carries no metadata, by which a rule would know its tenant: stack/test_knowledge_bases.py.
NAMED = tuple(ask for ask in PAID if ask.kind != "rerank")
WHOLE = tuple(ask for ask in NAMED if ask.name not in STREAMED)


def each(
    metered: MeteredStack, asks: tuple[Ask, ...], prepare: Callable[[Tenant], None]
) -> Iterator[tuple[Ask, Tenant, Any]]:
    """Sends every ask at once, each from a tenant of its own: time-outs then pass together.

    Where something is searched the tenant has a document, else there is nothing to embed for.
    """
    tenants = [metered.tenant() for _ in asks]
    for ask, tenant in zip(asks, tenants, strict=True):
        if ask.name in SEARCHING:
            add_document(metered, tenant)
        prepare(tenant)
    with ThreadPoolExecutor(len(asks)) as pool:
        replies = list(
            pool.map(lambda pair: pair[0].send(metered, pair[1]), zip(asks, tenants, strict=True))
        )
    yield from zip(asks, tenants, replies, strict=True)


def add_document(metered: MeteredStack, tenant: Tenant) -> None:
    body = {"title": "T", "text": "Some words."}
    assert metered.http("POST", "/v1/documents", body, tenant=tenant)[0] == 201
    before[tenant.id] = metered.posted(tenant)


before: dict[str, Posted] = {}  # what was there before the fault, by tenant


def since(metered: MeteredStack, tenant: Tenant) -> Posted:
    """What the fault left behind."""
    now, then = metered.posted(tenant), before.get(tenant.id)
    if then is None:
        return now
    return replace(
        now,
        attempts=now.attempts[len(then.attempts) :],
        cost=now.cost - then.cost,
        charge=now.charge - then.charge,
    )


class TestUpstream:
    """Each refusal by its API, and what it cost."""

    @pytest.mark.parametrize("fault", FAULTS)
    def test_what_is_told_and_what_it_costs(self, metered: MeteredStack, fault: str) -> None:
        action, refusal, maybe_billed = FAULTS[fault]
        # Within a stream that has begun there are no statuses: those are the next test's.
        asks = WHOLE if maybe_billed else NAMED

        def prepare(tenant: Tenant) -> None:
            metered.rule(tenant, **action)

        tried = []
        for ask, tenant, reply in each(metered, asks, prepare):
            refused(ask.family, reply, refusal)
            posted = since(metered, tenant)
            assert posted.charge == 0, ask
            if not maybe_billed:
                assert (posted.cost, list(posted.open), posted.held_cost) == (0, [], 0), ask
                assert {ending for _, _, ending, _ in posted.attempts} == {"released"}, ask
            tried.append(tenant)
        metered.log()
        metered.agree(*tried)
        for tenant in tried:
            after = since(metered, tenant)
            assert (after.charge, after.waste) == (0, after.cost)
            if tenant.id not in before:
                assert traces(metered, tenant)[3:] == (0, 0, 0), "a document is half there"

    @pytest.mark.parametrize("kind", ["hang", "cut", "error_frame", "rubbish"])
    def test_a_stream_that_breaks_says_so_before_it_ends(
        self, metered: MeteredStack, kind: str
    ) -> None:
        """Nobody may take half of an answer for the whole."""
        asks = tuple(ask for ask in PAID if ask.name in STREAMED)
        action = {"what": "bad_crc"} if kind == "rubbish" else {"after_events": 2}

        def prepare(tenant: Tenant) -> None:
            metered.rule(tenant, kind, **action)

        tried = []
        for ask, tenant, (status, _, body) in each(metered, asks, prepare):
            if ask.name in ANSWERING and status != 200:
                # Its query is embedded first, by a call that is not a stream.
                assert status in (408, 424, 503)
            else:
                assert status == 200, body
                if ask.family == "bedrock":
                    assert b":exception-type" in body[-512:], body[-200:]
                    assert b"x-tenantry-charge" not in body
                else:
                    assert b"[DONE]" not in body
                    assert b'"error"' in body or b"urn:tenantry:error" in body, body[-200:]
            tried.append(tenant)
        metered.log()
        metered.agree(*tried)
        for ask, tenant in zip(asks, tried, strict=True):
            posted = since(metered, tenant)
            if ask.name not in ANSWERING:  # where the embedding was answered, it is charged
                assert (posted.charge, posted.waste) == (0, posted.cost), ask

    def test_nobody_listens_there(self, metered: MeteredStack) -> None:
        """A placement's address where nothing answers: nothing was sent, nothing is unknown."""
        metered.control(
            lambda control: control.apply_placement(
                Placement(
                    id="nowhere",
                    kind="pool",
                    account=ACCOUNTS["pool"],
                    region=REGIONS[0],
                    regions=frozenset(REGIONS),
                    endpoint_url="http://127.0.0.1:9",
                )
            )
        )
        tenant = metered.tenant()

        async def move(control: Any) -> None:
            made = await control.create_tenant(
                f"{tenant.name}-nowhere", plan=f"plan-of-{tenant.name}", placement="nowhere"
            )
            moved.append(replace(tenant, id=made.id, key=await control.create_key(made.id)))

        moved: list[Tenant] = []
        metered.control(move)
        asks = [
            ask for ask in PAID if ask.name not in ("search", "retrieve")
        ]  # there is nothing there
        with ThreadPoolExecutor(len(asks)) as pool:
            replies = list(pool.map(lambda ask: ask.send(metered, moved[0]), asks))
        for ask, reply in zip(asks, replies, strict=True):
            refused(ask.family, reply, AWAY)
        posted = metered.posted(moved[0])
        assert (posted.cost, posted.charge, posted.held_cost, list(posted.open)) == (0, 0, 0, [])
        assert {ending for _, _, ending, _ in posted.attempts} == {"released"}
        assert traces(metered, moved[0]) == NO_TRACE
        assert metered.violations() == []
