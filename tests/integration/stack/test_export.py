"""What a tenant takes away, and an end user's data given and erased: over the wire, by an admin."""

from __future__ import annotations

import base64
import json
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support.stack import MODEL, Stack, Tenant, wait_until
from tests.support.stack_clients import converse_body, converse_path
from tests.support.stack_command import tenantry

from tenantry.domain.ids import TenantId
from tenantry.domain.knowledge_base import knowledge_base_of
from tenantry.domain.tenant import DEFAULT_SCOPES
from tenantry.entrypoints.api_client import Api
from tenantry.entrypoints.cli.export import with_originals
from tenantry.entrypoints.export_check import check_export
from tenantry.entrypoints.export_target import ExportWriter

HOSTILE = "../../../etc/cron.d/x\n\t\\..\\" + "n" * 180
PLAN = {"answer_cache_ttl_s": 3_600}


def cursor_of(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


NIL = "00000000-0000-0000-0000-000000000000"
# Right in their kinds, and nothing that the database could have given or could read.
FORGED = (
    cursor_of("2026-01-01T00:00:00+00:00", NIL, 99_999, 0, ""),
    cursor_of("2026-01-01T00:00:00+00:00", NIL, 0, -(10**30), ""),
    cursor_of("2026-01-01T00:00:00+00:00", NIL, 0, 0, "\x00"),
    cursor_of("2026-01-01T00:00:00+00:00", NIL, 0, 0, "\ud800"),
    cursor_of("0001-01-01T00:00:00+23:59", NIL, 0, 0, ""),
    cursor_of("\x00", "key", "00"),
    cursor_of("given", "\ud800", "00"),
)


def ask(stack: Stack, tenant: Tenant, user: str, text: str, **headers: str) -> None:
    sent = {"x-tenantry-user": user, **headers}
    done = stack.http(
        "POST", converse_path(MODEL), converse_body(text), tenant=tenant, headers=sent
    )
    assert done[0] == 200, done


def read(stack: Stack, tenant: Tenant, path: str) -> Any:
    status, _, body = stack.http("GET", path, tenant=tenant)
    assert status == 200, body
    return json.loads(body)


def post(stack: Stack, tenant: Tenant, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    status, _, answer = stack.http("POST", path, body, tenant=tenant)
    return status, json.loads(answer)


def as_admin(stack: Stack, tenant: Tenant, *words: str) -> Any:
    keys = {"TENANTRY_API_KEY": tenant.key.bearer, "TENANTRY_URL": stack.url}
    return tenantry(stack.home, "tenants", *words, environment=keys)


def lines(folder: Path, section: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{section}.jsonl").read_text().splitlines()]


def test_a_tenant_takes_everything_away_and_nobody_elses(stack: Stack, tmp_path: Path) -> None:
    anna, bert = stack.tenants(PLAN)
    texts = {"Plain": "apples are red", "Tagged": "pears are green"}
    for who in (anna, bert):
        for title, text in texts.items():
            upload = {
                "title": f"{title} {HOSTILE}"[:200],
                "text": f"{text} for {who.id}",
                "metadata": {"file": HOSTILE[:100]},
                "access": ["secret"] if title == "Tagged" else [],
            }
            status, made = post(stack, who, "/v1/documents", upload)
            assert status == 201, made
        ask(stack, who, "ann@example.com", f"Hello from {who.id}", **{"idempotency-key": "once"})
        post(stack, who, "/v1/budgets", {"scope": "tenant", "period": "day", "limit": "100"})
    for name in ("export", "export.tar"):
        done = as_admin(stack, anna, "export", str(tmp_path / name), "--json")
        assert done.returncode == 0, done.stderr
        manifest = check_export(tmp_path / name)
        assert manifest == json.loads(done.stdout)
        counts = manifest["counts"]
        assert counts["documents"] == 2 and counts["api_keys"] == 1 and counts["usage"] >= 3
        assert counts["replies"] == 1 and counts["results"] == 1 and counts["budgets"] == 1
    folder = tmp_path / "export"
    for row in lines(folder, "documents"):
        assert row["metadata"] == {"file": HOSTILE[:100]}
        assert (folder / row["file"]).read_text().endswith(f"for {anna.id}")
        assert row["file"] == f"originals/{row['id']}"
    assert {tuple(row["access"]) for row in lines(folder, "documents")} == {(), ("secret",)}
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert bert.id.encode() not in everything
    for secret in (anna.key.bearer, anna.key.secret_access_key):
        assert secret.encode() not in everything
    assert "cost" not in json.dumps(lines(folder, "usage"))
    assert sum(1 for path in tmp_path.rglob("*") if path.name == "x") == 0
    with tarfile.open(tmp_path / "export.tar") as tar:
        assert all(".." not in name and not name.startswith("/") for name in tar.getnames())
    (folder / "usage.jsonl").write_text("")
    assert as_admin(stack, anna, "export", str(folder), "--verify").returncode == 1
    assert as_admin(stack, anna, "export", str(folder)).returncode == 1, "something is there"


def test_a_document_that_is_replaced_meanwhile_is_taken_as_one_version(
    stack: Stack, tmp_path: Path
) -> None:
    anna = stack.tenant()
    ids = [
        post(stack, anna, "/v1/documents", {"title": "Old", "text": f"old text {n}"})[1]["id"]
        for n in range(3)
    ]
    api = Api(stack.url, anna.key.bearer)

    def meanwhile() -> Iterator[dict[str, Any]]:
        """The newest is replaced, one deleted and one added, after their rows were read."""
        rows = read(stack, anna, "/v1/export/documents")["data"]
        path = f"/v1/documents/{ids[2]}"
        body = {"title": "New", "text": "a new text that is longer"}
        assert stack.http("PUT", path, body, tenant=anna)[0] in (200, 201)
        assert stack.http("DELETE", f"/v1/documents/{ids[1]}", tenant=anna)[0] == 204
        post(stack, anna, "/v1/documents", {"title": "More", "text": "added since"})
        yield from rows

    with ExportWriter(tmp_path / "folder", {}) as writer:
        found = list(with_originals(api, writer, meanwhile()))
    assert [(row["id"], row["title"]) for row in found] == [(ids[2], "New"), (ids[0], "Old")]
    texts = [(tmp_path / "folder" / row["file"]).read_text() for row in found]
    assert texts == ["a new text that is longer", "old text 0"]
    assert [len(text) for text in texts] == [row["size_bytes"] for row in found]


def test_a_folder_is_gone_on_with_for_the_same_export_alone(stack: Stack, tmp_path: Path) -> None:
    anna, bert = stack.tenants()
    for who in (anna, bert):
        post(stack, who, "/v1/documents", {"title": "T", "text": f"of {who.id}"})
    folder = tmp_path / "folder"
    whose = {"of": "tenant", "tenant": anna.id}
    with ExportWriter(folder, whose) as writer:
        writer.add_lines("documents", [{"id": "of an earlier try"}])
    for tenant, words in ((bert, ()), (anna, ("--user", "ann")), (bert, ("--user", "ann"))):
        done = as_admin(stack, tenant, "export", str(folder), *words)
        assert (done.returncode, "is not this one" in done.stderr) == (1, True), done.stderr
    assert as_admin(stack, anna, "export", str(folder)).returncode == 0
    assert check_export(folder)["counts"]["documents"] == 1


def test_an_operator_alone_and_a_plain_key_are_refused(stack: Stack, tmp_path: Path) -> None:
    anna, bert = stack.tenant(), stack.tenant(scopes=DEFAULT_SCOPES)
    refused = tenantry(stack.home, "tenants", "export", str(tmp_path / "a"))
    assert refused.returncode == 1 and "TENANTRY_API_KEY" in refused.stderr
    assert as_admin(stack, bert, "export", str(tmp_path / "b")).returncode == 1
    document = post(stack, anna, "/v1/documents", {"title": "T", "text": "apples"})[1]["id"]
    content = f"/v1/export/documents/{document}/content"
    assert stack.http("GET", content, tenant=anna)[2] == b"apples"
    for path in ("/v1/export", "/v1/export/usage", content):
        assert stack.http("GET", path, tenant=bert)[0] == 403
    other = stack.tenant()
    assert stack.http("GET", content, tenant=other)[0] == 404
    for path in ("/v1/export/secrets", "/v1/export/documents/doc_x/content"):
        assert stack.http("GET", path, tenant=anna)[0] == 404
    for section in ("usage", "results", "replies", "documents", "batch_jobs", "budgets"):
        for cursor in ("x", "W10", "WzFd", "IiI", *FORGED):
            status = stack.http("GET", f"/v1/export/{section}?cursor={cursor}", tenant=anna)[0]
            assert status in (200, 400), (section, cursor, status)
    for section in ("documents", "api_keys", "sessions", "invoices"):
        for cursor in ("", "x", "..", "-1", f"tnt_{'0' * 26}"):
            status = stack.http("GET", f"/v1/export/{section}?cursor={cursor}", tenant=anna)[0]
            assert status == 400, (section, cursor)
    for path in ("/v1/export/documents/%00/content", "/v1/export/%00", "/v1/invoices/%00"):
        assert stack.http("GET", path, tenant=anna)[0] == 404, path
    lost = f"/v1/export/batch_jobs/{'0' * 8}-0000-0000-0000-{'0' * 12}/output"
    assert stack.http("GET", lost, tenant=anna)[0] == 404


def test_a_new_keys_secrets_are_shown_once_and_not_in_an_export(stack: Stack) -> None:
    anna = stack.tenant()
    once = {"idempotency-key": "make"}
    _, _, body = stack.http("POST", "/v1/keys", {"name": "new"}, tenant=anna, headers=once)
    made = json.loads(body)
    (kept,) = read(stack, anna, "/v1/export/results")["data"]
    assert kept["body"] is None and made["key"] not in json.dumps(kept)
    again = stack.http("POST", "/v1/keys", {"name": "new"}, tenant=anna, headers=once)
    assert json.loads(again[2]) == made, "who made it may lose the first answer on its way"


def test_pages_go_on_where_they_ended(stack: Stack) -> None:
    anna = stack.tenant(PLAN)
    for number in range(3):
        ask(stack, anna, "u", f"Question {number}", **{"idempotency-key": f"k{number}"})
        post(stack, anna, "/v1/documents", {"title": "T", "text": f"text {number}"})
        post(stack, anna, "/v1/budgets", {"scope": "run", "scope_id": f"r{number}"} | BUDGET)
    for section in ("documents", "usage", "results", "replies", "budgets"):
        whole = read(stack, anna, f"/v1/export/{section}")["data"]
        assert len(whole) >= 3, section
        found: list[Any] = []
        cursor = ""
        while True:
            page = read(stack, anna, f"/v1/export/{section}?limit=1{cursor}")
            found += page["data"]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert found == whole, section


BUDGET = {"period": "day", "limit": "100"}


def test_an_end_user_is_given_what_is_kept_and_then_forgotten(stack: Stack, tmp_path: Path) -> None:
    anna, bert = stack.tenants(PLAN)
    ann, bob = "ann@example.com", "bob@example.com"
    for tenant in (anna, bert):
        for user in (ann, bob):
            ask(stack, tenant, user, f"I am {user}", **{"idempotency-key": f"of-{user}"})
            made = post(stack, tenant, "/v1/budgets", {"scope": "user", "scope_id": user} | BUDGET)
            assert made[0] == 201, made

    def given(tenant: Tenant, user: str) -> dict[str, int]:
        counts = {}
        for section in ("usage", "replies", "results", "sessions"):
            status, page = post(
                stack, tenant, "/v1/users/export", {"user": user, "section": section}
            )
            assert status == 200, page
            counts[section] = len(page["data"])
        assert counts.pop("sessions") == 0
        return counts

    assert given(anna, ann) == {"usage": 1, "replies": 1, "results": 1}
    nothing = {"usage": 0, "replies": 0, "results": 0}
    assert given(anna, "nobody@example.com") == nothing
    done = as_admin(stack, anna, "export", str(tmp_path / "ann.zip"), "--user", ann)
    assert done.returncode == 0, done.stderr
    counts = {"usage": 1, "replies": 1, "results": 1, "sessions": 0}
    assert check_export(tmp_path / "ann.zip")["counts"] == counts

    before = read(stack, anna, "/v1/usage")
    assert len(read(stack, anna, f"/v1/usage?user={ann}")["data"]) == 1
    never = post(stack, anna, "/v1/users/erase", {"user": "nobody@example.com"})[1]
    assert set(never["erased"].values()) == {0}
    erased = as_admin(stack, anna, "erase-user", ann, "--yes", "--json")
    told = json.loads(erased.stdout)
    assert told["erased"] == {
        "results": 1,
        "replies": 1,
        "sessions": 0,
        "budgets": 1,
        "links": 1,
    }
    assert any("append-only" in each for each in told["remains"])
    again = post(stack, anna, "/v1/users/erase", {"user": ann})[1]
    assert set(again["erased"].values()) == {0}
    assert again["remains"] == never["remains"] and again.keys() == never.keys()

    assert given(anna, ann) == nothing
    assert read(stack, anna, f"/v1/usage?user={ann}")["data"] == []
    assert read(stack, anna, "/v1/usage") == before, "the ledger is as it was"
    sent = {"x-tenantry-user": ann, "idempotency-key": f"of-{ann}"}
    lost = stack.http(
        "POST", converse_path(MODEL), converse_body(f"I am {ann}"), tenant=anna, headers=sent
    )
    assert lost[0] == 409, "the key stays used: nothing runs twice"
    ask(stack, anna, ann, "I am somebody else now")
    assert given(anna, ann) == {"usage": 1, "replies": 1, "results": 0}
    for tenant, user in ((anna, bob), (bert, ann), (bert, bob)):
        assert given(tenant, user) == {"usage": 1, "replies": 1, "results": 1}
        subjects = {b["scope"] for b in read(stack, tenant, "/v1/budgets")["data"]}
        assert "user" in subjects


def test_answers_that_cost_nothing_are_an_end_users_too(stack: Stack) -> None:
    """The books know no such request: whose its kept answer is stands beside it."""
    anna, bert = stack.tenants()
    ann, bob = "ann@example.com", "bob@example.com"

    def search(tenant: Tenant, user: str) -> int:
        sent = {"x-tenantry-user": user, "idempotency-key": f"of-{user}"}
        query = {"query": f"the secret of {user}"}
        return stack.http("POST", "/v1/search", query, tenant=tenant, headers=sent)[0]

    def kept(tenant: Tenant, user: str) -> int:
        asked = {"user": user, "section": "results"}
        return len(post(stack, tenant, "/v1/users/export", asked)[1]["data"])

    everyone = [(tenant, user) for tenant in (anna, bert) for user in (ann, bob)]
    for tenant, user in everyone:
        assert search(tenant, user) == 200
    assert [kept(*one) for one in everyone] == [1, 1, 1, 1]
    assert read(stack, anna, "/v1/export/usage")["data"] == []
    assert post(stack, anna, "/v1/users/erase", {"user": ann})[1]["erased"]["results"] == 1
    assert [kept(*one) for one in everyone] == [0, 1, 1, 1]
    assert [search(*one) for one in everyone] == [409, 200, 200, 200]


def conversed(stack: Stack, tenant: Tenant, user: str, **more: str) -> dict[str, Any]:
    """The answer to a question over the tenant's documents."""
    body = {
        "input": {"text": f"What do {user} and apples share?"},
        "retrieveAndGenerateConfiguration": {
            "type": "KNOWLEDGE_BASE",
            "knowledgeBaseConfiguration": {
                "knowledgeBaseId": knowledge_base_of(TenantId(tenant.id)),
                "modelArn": MODEL,
            },
        },
        **more,
    }
    headers = {"x-tenantry-user": user}
    done = stack.http("POST", "/retrieveAndGenerate", body, tenant=tenant, headers=headers)
    assert done[0] == (404 if more else 200), done
    answer: dict[str, Any] = json.loads(done[2])
    return answer


def test_what_is_under_way_when_its_user_is_erased_is_answered_and_not_kept(stack: Stack) -> None:
    anna, bert = stack.tenants(PLAN)
    ann = "ann@example.com"
    for tenant in (anna, bert):
        post(stack, tenant, "/v1/documents", {"title": "T", "text": "apples are red"})
        ask(stack, tenant, ann, "the books know me")
        stack.emulator.rules(
            *(
                {
                    "match": {"request_metadata": {"tid": tenant.id}, "operation": "Converse"},
                    "action": {"kind": "slow_tokens", "delay_ms": 100},
                }
                for tenant in (anna, bert)
            )
        )
    with ThreadPoolExecutor(4) as clients:
        turns = [clients.submit(conversed, stack, who, ann) for who in (anna, bert)]
        asked = [clients.submit(ask, stack, who, ann, "a new question") for who in (anna, bert)]
        wait_until(lambda: len(stack.open_requests(anna, bert)) == 4, "all four are admitted")
        erased = post(stack, anna, "/v1/users/erase", {"user": ann})[1]["erased"]
        assert not any(each.done() for each in (*turns, *asked)), "they were under way"
        sessions = [turn.result()["sessionId"] for turn in turns]
        assert all(each.result() is None for each in asked)
    stack.emulator.clear_rules()
    assert (erased["links"], erased["replies"], erased["sessions"]) == (1, 1, 0)
    for tenant, kept in ((anna, (0, 0)), (bert, (2, 1))):
        replies = read(stack, tenant, "/v1/export/replies")["data"]
        assert (len(replies), len(read(stack, tenant, "/v1/export/sessions")["data"])) == kept
    conversed(stack, anna, ann, sessionId=sessions[0])
    assert set(post(stack, anna, "/v1/users/erase", {"user": ann})[1]["erased"].values()) == {0}


def test_conversations_are_given_and_end_with_their_user(stack: Stack) -> None:
    anna, bert = stack.tenants(PLAN)
    ann = "ann@example.com"
    for tenant in (anna, bert):
        post(stack, tenant, "/v1/documents", {"title": "T", "text": "apples are red"})
        for user in (ann, "bob@example.com"):
            conversed(stack, tenant, user)
    asked = {"user": ann, "section": "sessions"}
    (given,) = post(stack, anna, "/v1/users/export", asked)[1]["data"]
    assert given["turns"] == 1 and ann in json.dumps(given["said"])
    assert len(read(stack, anna, "/v1/export/sessions")["data"]) == 2
    assert post(stack, anna, "/v1/users/erase", {"user": ann})[1]["erased"]["sessions"] == 1
    (left,) = read(stack, anna, "/v1/export/sessions")["data"]
    assert "bob@example.com" in json.dumps(left["said"])
    assert len(read(stack, bert, "/v1/export/sessions")["data"]) == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user": ""},
        {"user": "x" * 300},
        {"user": "a\u0000b"},
        {"user": 1},
        {"user": "x", "section": "documents"},
        {"user": "x", "section": "usage", "limit": 0},
        {"user": "x", "section": "usage", "cursor": "%%"},
    ],
)
def test_bad_bodies_are_refused(stack: Stack, body: dict[str, Any]) -> None:
    anna = stack.tenant()
    assert post(stack, anna, "/v1/users/export", body)[0] == 400
    if "section" not in body:
        assert post(stack, anna, "/v1/users/erase", body)[0] == 400
