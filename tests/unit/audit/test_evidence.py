"""What counts as a leak, as provider cost, and as a route that nobody attacks."""

from __future__ import annotations

from typing import Any

import pytest

from tenantry.domain.audit import Outcome
from tenantry.entrypoints.audit.attacks.crossing import crossings
from tenantry.entrypoints.audit.canary import Canary
from tenantry.entrypoints.audit.catalogue import attacks_on
from tenantry.entrypoints.audit.credentials import Key
from tenantry.entrypoints.audit.evidence import cost_in, leak_in
from tenantry.entrypoints.audit.exchange import Ask, Reply, ask
from tenantry.entrypoints.audit.recipes import RECIPES
from tenantry.entrypoints.audit.routes import Operation, operations_of
from tenantry.entrypoints.audit.things import COMMON, KIND_OF
from tenantry.entrypoints.audit.wire import Exchange
from tenantry.entrypoints.http.adminplane import ADMIN_PLANE
from tenantry.entrypoints.http.dataplane import DATA_PLANE
from tenantry.entrypoints.http.openapi import document


def canary(name: str) -> Canary:
    key = Key(f"key_{name}", f"tk_{name * 9}", f"TK{name * 9}", f"secret-{name * 9}")
    return Canary(name, f"tnt_{name * 9}", f"tenant-{name * 9}", key, "1" * 12, "pool", False)


A, B = canary("a"), canary("b")
WORD = B.word()


def exchange(who: str, said: str, told: str, status: int = 200, **headers: str) -> Exchange:
    asked = Ask("POST /v1/search", "/v1/search", body=said.encode())
    return Exchange(who, asked, Reply(status, headers, told.encode()))


@pytest.mark.parametrize(
    ("who", "said", "told", "is_leak"),
    [
        ("a", "", "nothing", False),
        ("a", "", f"a passage of {WORD}", True),
        ("b", "", f"a passage of {WORD}", False),
        ("", "", f"a passage of {WORD}", True),
        ("operator", "", f"tenant {B.id}", False),
        ("a", f"what of {B.id}?", f"there is no {B.id}", False),
        ("a", "", f"there is {B.id}", True),
    ],
    ids=["nothing", "a word", "its own", "to nobody", "to the operator", "an echo", "an id"],
)
def test_a_leak_is_what_the_caller_had_not_said(
    who: str, said: str, told: str, is_leak: bool
) -> None:
    assert (leak_in(exchange(who, said, told), (A, B)) is not None) is is_leak


def test_a_reply_that_is_served_as_another_tenant_is_a_leak() -> None:
    served = exchange("a", B.id, "{}", **{"x-tenantry-tenant": B.id})
    assert leak_in(served, (A, B)) is not None
    assert leak_in(exchange("a", "", "{}", **{"x-tenantry-tenant": A.id}), (A, B)) is None
    assert leak_in(exchange("", "", "{}", **{"x-tenantry-tenant": A.id}), (A, B)) is not None


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
def test_who_is_refused_is_not_served(status: int) -> None:
    """The header names whose limits refuse it; who learns an id by it that it had not said is told
    of, as of any word."""
    refused = exchange("", B.id, "{}", status, **{"x-tenantry-tenant": B.id})
    assert leak_in(refused, (A, B)) is None
    told = leak_in(exchange("", "", "{}", status, **{"x-tenantry-tenant": B.id}), (A, B))
    assert told == "POST /v1/search told of canary b"


@pytest.mark.parametrize(
    ("told", "headers", "is_cost"),
    [
        ('{"charge":"0"}', {}, False),
        ('{"provider_cost":"0.1"}', {}, True),
        ('data: {"tenantry": {"markup": "3"}}', {}, True),
        ('{"body":"{\\"waste\\":1}"}', {}, True),
        ('{"text":"the cost of it"}', {}, False),
        ("{}", {"x-tenantry-cost": "1"}, True),
        ("{}", {"x-tenantry-charge": "0 USD"}, False),
        ("{}", {"x-tenantry-charge": "0.0105 USD"}, True),
    ],
)
def test_provider_cost_is_found_by_name_and_by_amount(
    told: str, headers: dict[str, str], is_cost: bool
) -> None:
    assert (cost_in(exchange("a", "", told, **headers)) is not None) is is_cost


def test_what_differs_by_itself_is_not_compared() -> None:
    def reply(request_id: str, thing: str, status: int = 404) -> Reply:
        headers = {"date": request_id, "x-tenantry-request-id": request_id, "x-should-retry": "no"}
        return Reply(status, headers, f"no {thing} in {request_id}".encode())

    assert reply("1-1", "doc_x").comparable("doc_x") == reply("2-2", "doc_y").comparable("doc_y")
    assert reply("1-1", "doc_x").comparable("doc_x") != reply("2-2", "doc_x", 403).comparable()


def data_plane() -> list[Operation]:
    return list(operations_of(document("data plane", DATA_PLANE.routes)))


def admin_plane() -> list[Operation]:
    return list(operations_of(document("control plane", ADMIN_PLANE.routes)))


def test_every_route_has_a_recipe_and_every_id_a_kind() -> None:
    """So that whoever adds a route says here how it is attacked."""
    for route in data_plane():
        if route.secured:
            assert route.line in RECIPES, f"say in recipes.py how {route.line} is asked"
            for parameter in route.parameters:
                collection = route.collection(parameter)
                assert collection in KIND_OF or collection in COMMON, f"whose is {collection}?"


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (Operation("POST /v1/novelties", (), True), "does not know this route"),
        (Operation("GET /v1/novelties/{id}", ("search",), True), "does not know this route"),
        (Operation("GET /v1/open", (), False), "takes no credentials"),
    ],
)
def test_a_route_without_an_attack_is_a_finding(route: Operation, words: str) -> None:
    ground: Any = None  # it is known before anything is sent
    covered = crossings([route])[0]
    verdict = covered.run(ground)
    assert covered.id == f"{route.slug}.covered"
    assert verdict.outcome is Outcome.FOUND
    assert words in verdict.detail


def test_the_catalogue_has_each_attack_once_and_keeps_its_ids() -> None:
    attacks = attacks_on(data_plane(), admin_plane(), ["document"])
    assert len(attacks) > 500
    # Named in questionnaires and in other people's scripts: they stay.
    assert {
        "get-v1-documents-id.foreign-document",
        "delete-v1-keys-key.foreign-key",
        "post-v1-search.tenant-in-header",
        "token.alg-none",
        "signature.secret-of-b",
        "idempotency.key-search",
        "answer-cache.same-question",
        "prompt-cache.same-prefix",
        "seal.segment-swapped",
        "rows.table-document",
        "region.forbidden-converse",
        "admin.get-admin-v1-tenants.tenant-key",
        "post-v1-search.cost",
    } <= {attack.id for attack in attacks}


def test_a_path_parameter_stays_inside_its_segment() -> None:
    asked = ask("GET /v1/documents/{id}/content", {"id": "../a b"}, query={"x": "1 2"})
    assert asked.target == "/v1/documents/..%2Fa%20b/content?x=1+2"
