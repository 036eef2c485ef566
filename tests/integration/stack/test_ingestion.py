"""Documents over the wire: replaced, reindexed at a named payer's expense, and embedded once
although the process that embeds them is killed."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
import pytest
from tests.support.stack import ALL_SCOPES, Stack, Tenant, wait_until
from tests.support.stack_command import tenantry
from tests.support.stack_documents import REINDEX, call, document, reindexed

from tenantry.application.embeddings import PARALLEL_CALLS_MAX
from tenantry.domain.tenant import DEFAULT_SCOPES, Scope
from tenantry.ports.control import NewKey

TITAN = "amazon.titan-embed-text-v2:0"
BATCH = 64
_PARAGRAPHS = 300  # of one passage each: less than a megabyte, so that its client waits
_COUNTED = "SELECT day_requests FROM tenantry.counter WHERE tenant_id = $1"
_DONE = """
SELECT coalesce(max(passages_done), 0)::int FROM tenantry.document
WHERE tenant_id = $1 AND state = 'indexing'
"""
_KEPT = """
SELECT coalesce(sum(passages), 0)::int FROM tenantry.embedded_batch WHERE tenant_id = $1
"""
_EXPIRE = """
WITH documents AS (
  UPDATE tenantry.document SET claimed_until = now() - interval '1 s'
  WHERE tenant_id = $1 AND state = 'indexing' RETURNING 1
)
UPDATE tenantry.reindex SET claimed_until = now() - interval '1 s'
WHERE tenant_id = $1 AND state = 'running' RETURNING 1
"""


class Keyed:
    """A further API key of a tenant."""

    def __init__(self, key: NewKey) -> None:
        self.key = key


def long_text(paragraphs: int = _PARAGRAPHS) -> str:
    return "\n\n".join(f"Paragraph {n} of matter{n}. " + "so " * 270 for n in range(paragraphs))


def add(stack: Stack, who: Any, title: str, text: str) -> dict[str, Any]:
    status, made = call(stack, who, "POST", "/v1/documents", document(title, text))
    assert status == 201, made
    found: dict[str, Any] = made
    return found


def titles(stack: Stack, who: Any, query: str) -> list[str]:
    status, found = call(stack, who, "POST", "/v1/search", {"query": query, "top_k": 5})
    assert status == 200, found
    return [passage["title"] for passage in found["passages"]]


def billed(stack: Stack, tenant: Tenant) -> int:
    """How many texts the provider has billed, by its own count."""
    return len(stack.bill(tenant))


def paid_by(stack: Stack, tenant: Tenant) -> dict[str, Decimal]:
    status, found = call(stack, tenant, "GET", "/v1/usage?group_by=key")
    assert status == 200, found
    return {row["key"]: Decimal(row["charge"]) for row in found["data"]}


def further_key(stack: Stack, tenant: Tenant, scopes: frozenset[Scope]) -> Keyed:
    async def make(control: Any) -> NewKey:
        key: NewKey = await control.create_key(tenant.id, name="further", scopes=scopes)
        return key

    return Keyed(stack.control(make))


def replan(stack: Stack, tenant: Tenant, **plan: object) -> None:
    table = {"markup": "3", "placement": "pool", **plan}

    async def apply(control: Any) -> None:
        await control.apply_plans({f"plan-of-{tenant.name}": table})

    stack.control(apply)


def test_a_document_is_replaced_over_the_wire(stack: Stack) -> None:
    anna, bert = stack.tenants()
    made = add(stack, anna, "Old", "apples are red")
    assert (made["progress"], made["replacement"]) == ({"done": 1, "total": 1}, None)
    path = f"/v1/documents/{made['id']}"
    new = document("New", "apples are green", access=["hr"])
    for who, where in ((bert, path), (anna, "/v1/documents/doc_" + "0" * 26)):
        status, refused = call(stack, who, "PUT", where, new)
        assert (status, refused["code"]) == (404, "not_found")
    assert call(stack, bert, "PUT", "/v1/documents/none", new)[0] == 404
    assert call(stack, anna, "PUT", path, {"title": "x"})[0] == 400
    assert titles(stack, anna, "apples") == ["Old"]
    before = billed(stack, anna)
    retold = document("Retold", "apples are red", metadata={"year": 2026})  # this costs nothing
    assert call(stack, anna, "PUT", path, retold)[1]["title"] == "Retold"
    status, after = call(stack, anna, "PUT", path, new)
    assert (status, after["id"], after["title"]) == (200, made["id"], "New")
    assert billed(stack, anna) == before + 1
    assert titles(stack, anna, "apples") == [], "without groups it is seen no more"
    assert call(stack, anna, "PUT", path, new)[0] == 404, "nor replaced"
    reader = further_key(stack, anna, frozenset({Scope.SEARCH}))
    assert call(stack, reader, "PUT", path, new)[0] == 403
    assert stack.violations() == []


def test_a_reindex_is_live_and_paid_for_by_the_key_that_asked(stack: Stack) -> None:
    anna, bert = stack.tenants({"requests_per_day": 100})
    for number in range(3):
        add(stack, anna, f"T{number}", f"apples of basket number {number}")
    add(stack, anna, "Long", long_text(70))
    add(stack, bert, "B", "apples of another")
    plain, payer = (further_key(stack, anna, s) for s in (DEFAULT_SCOPES, ALL_SCOPES))
    assert call(stack, plain, "POST", REINDEX, {"model": TITAN})[0] == 403
    assert call(stack, anna, "GET", REINDEX)[0] == 404
    assert call(stack, anna, "DELETE", REINDEX)[0] == 404
    for body, refusal in (
        ({"model": "nobody.knows-v1:0"}, 404),
        ({"model": "amazon.nova-micro-v1:0"}, 400),
        ({"model": TITAN, "dimensions": 0}, 400),
        ({"model": TITAN, "dimensions": 384}, 400),  # the model makes no such vectors
        ({"model": TITAN, "more": 1}, 400),
        ({"model": TITAN}, 409),  # it is indexed so already
    ):
        status, told = call(stack, anna, "POST", REINDEX, body)
        assert status == refusal, (body, told)
    before, counted = billed(stack, anna), stack.rows(_COUNTED, anna.id)[0][0]
    paid, others = paid_by(stack, anna), paid_by(stack, bert)
    body = {"model": TITAN, "dimensions": 256}
    status, begun = call(stack, payer, "POST", REINDEX, body)
    assert (status, begun["model"], begun["dimensions"]) == (202, TITAN, 256)
    known = {"T0", "T1", "T2", "Long"}
    assert set(titles(stack, anna, "apples of basket")) <= known
    done = reindexed(stack, anna)
    assert (done["status"], done["api_key_id"]) == ("done", payer.key.id)
    assert done["documents"] == {"done": 4, "total": 4}
    total = done["passages"]["total"]
    assert total > 70
    searches = billed(stack, anna) - before - total
    assert 1 <= searches <= 2, "a search meanwhile may have been asked in both"
    stack.wait_settled(anna)
    after = paid_by(stack, anna)
    assert after[payer.key.id] > 0
    assert {key: charge for key, charge in after.items() if key != payer.key.id}.keys() == {
        anna.key.id
    }
    assert after[anna.key.id] - paid[anna.key.id] < after[payer.key.id] / 10, "a search's alone"
    assert stack.rows(_COUNTED, anna.id)[0][0] == counted + 2, "one reindex, one search"
    found = titles(stack, anna, "apples of basket")
    assert len(found) == 5
    assert set(found) <= known
    assert titles(stack, bert, "apples") == ["B"]
    assert paid_by(stack, bert).keys() == others.keys()
    assert call(stack, bert, "GET", REINDEX)[0] == 404
    assert stack.violations() == []


def test_documents_are_indexed_again_at_the_expense_of_who_asks(stack: Stack) -> None:
    anna, bert = stack.tenants({"requests_per_day": 100})
    for who in (anna, bert):
        add(stack, who, "First", "apples are red")
    environment = {"TENANTRY_API_KEY": anna.key.bearer, "TENANTRY_URL": stack.url}
    counted = stack.rows(_COUNTED, anna.id)[0][0]
    for times in (1, 2):
        done = tenantry(
            stack.home, "documents", "reindex", "--again", "--json", environment=environment
        )
        assert done.returncode == 0, done.stderr
        told = orjson.loads(done.stdout)
        assert (told["status"], told["model"], told["dimensions"]) == ("done", TITAN, 512)
        assert (billed(stack, anna), billed(stack, bert)) == (1 + times, 1)
        stack.wait_settled(anna)
        assert stack.rows(_COUNTED, anna.id)[0][0] == counted + times
    assert titles(stack, anna, "apples") == ["First"]
    assert call(stack, bert, "GET", REINDEX)[0] == 404
    assert stack.violations() == []


def test_a_plan_that_names_another_model_breaks_no_search(stack: Stack) -> None:
    anna = stack.tenant()
    add(stack, anna, "First", "apples are red")
    replan(stack, anna, embedding_dimensions=1024)
    assert titles(stack, anna, "apples") == ["First"]
    add(stack, anna, "Second", "apples are green")
    assert sorted(titles(stack, anna, "apples")) == ["First", "Second"]
    assert call(stack, anna, "POST", REINDEX, {"model": TITAN})[0] == 202, "the plan's dimensions"
    assert reindexed(stack, anna)["dimensions"] == 1024
    assert sorted(titles(stack, anna, "apples")) == ["First", "Second"]


def test_a_spent_budget_pauses_a_reindex_and_leaves_the_index_whole(stack: Stack) -> None:
    anna = stack.tenant()
    add(stack, anna, "Long", long_text())
    spent = sum(paid_by(stack, anna).values())
    replan(stack, anna, monthly_budget=str(spent + Decimal("0.0045")))
    status, _ = call(stack, anna, "POST", REINDEX, {"model": TITAN, "dimensions": 256})
    assert status == 202
    paused = reindexed(stack, anna)
    assert (paused["status"], paused["failure"]) == ("paused", "budget_exceeded")
    assert 0 < paused["passages"]["done"] < paused["passages"]["total"]
    replan(stack, anna)
    assert titles(stack, anna, "matter7") == ["Long"] * 5
    before = billed(stack, anna)
    status, again = call(stack, anna, "POST", REINDEX, {"model": TITAN, "dimensions": 256})
    assert (status, again["id"]) == (202, paused["id"])
    done = reindexed(stack, anna)
    assert done["status"] == "done"
    left = done["passages"]["total"] - paused["passages"]["done"]
    assert billed(stack, anna) == before + left, "what was paid for is not paid for again"


def test_what_shared_a_batch_with_a_refused_text_is_paid_for_once(stack: Stack) -> None:
    anna, bert = stack.tenants({})
    paid, sent = {}, {}
    for tenant in (anna, bert):
        for number in range(3):
            add(stack, tenant, f"T{number}", f"T{number}\n\n{long_text(12)}")
        before = sum(paid_by(stack, tenant).values()), billed(stack, tenant)
        if tenant is anna:
            refusal = {"kind": "error", "status": 400, "code": "ValidationException"}
            match = {"operation": "InvokeModel"}
            stack.emulator.rules({"match": match, "nth": 30, "times": 1, "action": refusal})
        try:
            assert (
                call(stack, tenant, "POST", REINDEX, {"model": TITAN, "dimensions": 256})[0] == 202
            )
            assert reindexed(stack, tenant)["status"] == "done"
        finally:
            stack.emulator.clear_rules()
        stack.wait_settled(tenant)
        paid[tenant.name] = sum(paid_by(stack, tenant).values()) - before[0]
        sent[tenant.name] = billed(stack, tenant) - before[1]
    assert sent[anna.name] >= sent[bert.name] + 29 - PARALLEL_CALLS_MAX, "some were embedded twice"
    assert paid[anna.name] == paid[bert.name] > 0


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("amazon.titan-embed-image-v1", "The lease ends on a day that both have named. " * 60),
        ("cohere.embed-multilingual-v3", "この契約は双方が定めた日に終了する。" * 100),
    ],
)
def test_a_model_that_takes_less_than_a_passage_embeds_its_beginning(
    stack: Stack, model: str, text: str
) -> None:
    anna = stack.tenant()
    add(stack, anna, "Lease", text)
    status, _ = call(stack, anna, "POST", REINDEX, {"model": model, "dimensions": 1024})
    assert status == 202
    assert reindexed(stack, anna)["status"] == "done"
    assert titles(stack, anna, (text * 9)[:8_192])[0] == "Lease"
    add(stack, anna, "Another", text + " more")
    assert stack.violations() == []


def test_the_command_line_shows_how_far_it_is(stack: Stack, tmp_path: Any) -> None:
    anna = stack.tenant({"document_max_mb": 2})
    environment = {"TENANTRY_API_KEY": anna.key.bearer, "TENANTRY_URL": stack.url}

    def run(*arguments: str) -> Any:
        return tenantry(stack.home, "documents", *arguments, environment=environment)

    file = tmp_path / "large.txt"
    file.write_text(long_text(20) + "\n\n" + "a" * 1_100_000)
    added = run("add", str(file))
    assert added.returncode == 0, added.stderr
    document_id, status, name = added.stdout.split()
    assert (status, name) == ("ready", "large.txt")
    assert "passages" in added.stderr
    file.write_text("a short one")
    replaced = run("add", str(file), "--replace", document_id)
    assert (replaced.returncode, replaced.stdout.split()[:2]) == (0, [document_id, "ready"])
    latin = tmp_path / "latin.txt"
    latin.write_bytes("café".encode("latin-1"))
    refused = run("add", str(latin))
    assert (refused.returncode, "state its charset" in refused.stderr) == (1, True)
    added = run("add", str(latin), "--charset", "latin1")
    assert added.returncode == 0, added.stderr
    assert titles(stack, anna, "café") == ["latin.txt", "large.txt"]
    tagged = tmp_path / "sales.txt"
    tagged.write_text("prices")
    words = ("--metadata", "lang=en", "--metadata", "of=a=b", "--access", "sales")
    hidden = run("add", str(tagged), *words)
    assert hidden.returncode == 0, hidden.stderr
    path = f"/v1/documents/{hidden.stdout.split()[0]}"
    assert stack.http("GET", path, b"", tenant=anna)[0] == 404, "it is for a group alone"
    groups = {"x-tenantry-groups": "sales"}
    shown = orjson.loads(stack.http("GET", path, b"", tenant=anna, headers=groups)[2])
    assert (shown["metadata"], shown["access"]) == ({"lang": "en", "of": "a=b"}, ["sales"])
    assert run("add", str(tagged), "--metadata", "lang").returncode == 2
    done = run("reindex", "--model", TITAN, "--dimensions", "256", "--json")
    assert done.returncode == 0, done.stderr
    assert orjson.loads(done.stdout)["status"] == "done"
    shown = run("reindex")
    assert "3 of 3 documents" in shown.stdout
    refused = run("reindex", "--cancel")
    assert (refused.returncode, "No reindex" in refused.stderr) == (1, True)
    file.write_text("a" * 2_000_001)
    refused = run("add", str(file))
    assert (refused.returncode, "document_max_mb" in refused.stderr) == (1, True)


def slowly(stack: Stack, tenant: Tenant) -> None:
    """Each text of a tenant takes so long that there is a middle to kill in."""
    match = {"request_metadata": {"tid": tenant.id}}
    stack.emulator.rules({"match": match, "action": {"kind": "slow_first_token", "delay_ms": 30}})


def killed_midway(stack: Stack, tenant: Tenant, far: Callable[[], bool]) -> None:
    """The one gateway worker, once it is so far; its claims run out at once."""
    wait_until(far, "two batches are done")
    stack.kill_gateway_worker()
    stack.emulator.clear_rules()
    stack.rows(_EXPIRE, tenant.id)
    stack.revive()


def test_a_killed_upload_is_embedded_once_but_for_a_batch(doomed: Stack) -> None:
    anna, bert = doomed.tenants({"requests_per_day": 100})
    add(doomed, bert, "B", "what the bystander keeps")
    slowly(doomed, anna)

    def upload() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            call(doomed, anna, "POST", "/v1/documents", document("Long", long_text()))

    client = threading.Thread(target=upload)
    client.start()
    killed_midway(doomed, anna, lambda: doomed.rows(_DONE, anna.id)[0][0] >= 2 * BATCH)
    client.join()

    def ready() -> dict[str, Any] | None:
        listed = call(doomed, anna, "GET", "/v1/documents")[1]["data"]
        return listed[0] if listed and listed[0]["status"] == "ready" else None

    found = wait_until(ready, "another process has finished it", 60)
    assert found["passages"] >= _PARAGRAPHS
    doomed.wait_accounted(anna, bert)
    assert found["passages"] <= billed(doomed, anna) <= found["passages"] + BATCH
    assert doomed.rows(_COUNTED, anna.id)[0][0] == 1, "one request of the day, whoever made it"
    assert titles(doomed, anna, "matter5")[0] == "Long"
    assert doomed.rows(_KEPT, anna.id)[0][0] == 0
    assert titles(doomed, bert, "bystander") == ["B"]
    assert doomed.violations() == []


def test_a_killed_reindex_is_embedded_once_but_for_a_batch(doomed: Stack) -> None:
    anna, bert = doomed.tenants({"requests_per_day": 100})
    add(doomed, bert, "B", "what the bystander keeps")
    made = add(doomed, anna, "Long", long_text())
    before = billed(doomed, anna)
    slowly(doomed, anna)
    status, _ = call(doomed, anna, "POST", REINDEX, {"model": TITAN, "dimensions": 256})
    assert status == 202
    killed_midway(doomed, anna, lambda: doomed.rows(_KEPT, anna.id)[0][0] >= 2 * BATCH)
    assert titles(doomed, anna, "matter5")[0] == "Long", "the old index is whole"
    assert reindexed(doomed, anna)["status"] == "done"
    doomed.wait_accounted(anna, bert)
    again = billed(doomed, anna) - before - made["passages"]
    assert 0 <= again <= BATCH + 2, "a search meanwhile may have been asked in both"
    assert doomed.rows(_COUNTED, anna.id)[0][0] == 3, "one upload, one reindex, one search"
    assert titles(doomed, anna, "matter5")[0] == "Long"
    assert titles(doomed, bert, "bystander") == ["B"]
    assert doomed.violations() == []
