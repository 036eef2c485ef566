"""The audit of isolation over the running product: whole and green, and red on a planted flaw."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.settings import load_settings
from tests.support.stack import Stack, running_stack, wait_until
from tests.support.stack_audit import audit, flawed, of
from tests.support.stack_command import tenantry

from tenantry.bootstrap.audit import local_stores
from tenantry.domain.audit import Outcome, Wall, report_from
from tenantry.domain.document import Home
from tenantry.domain.errors import NotFound
from tenantry.entrypoints.audit.published import EVERY
from tenantry.entrypoints.audit.report_text import to_text
from tenantry.entrypoints.audit.running import run_audit
from tenantry.ports.objects import ObjectKind

ATTACKS_MIN = 100
_CANARIES = (
    "SELECT t.tenant_id, t.name, t.status, (SELECT count(*) FROM tenantry.api_key k WHERE"
    " k.tenant_id = t.tenant_id AND k.revoked_at IS NULL) AS keys, (SELECT count(*) FROM"
    " tenantry.document d WHERE d.tenant_id = t.tenant_id) AS documents, (SELECT count(*)"
    " FROM tenantry.charge_entry e WHERE e.tenant_id = t.tenant_id AND e.amount <> 0) AS charged"
    " FROM tenantry.tenant t WHERE t.name LIKE 'audit-canary-%'"
)


def test_the_whole_audit_finds_nothing_and_leaves_nothing(stack: Stack, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    status, told = audit(stack, "--html", str(page))
    assert told["findings"] == []
    assert status == 0
    report = report_from(told)
    assert len(report.results) >= ATTACKS_MIN
    assert {result.after for result in report.results} >= set(EVERY)
    # Every route that the deployment describes was asked, and every table of tenants.
    described = json.loads(stack.http("GET", "/openapi.json")[2])["paths"]
    asked = " ".join(result.sentence for result in report.results)
    for path, methods in described.items():
        assert all(f"{method.upper()} {path} " in asked for method in methods), path
    assert {result.id for result in report.results} >= {"rows.table-document", "seal.rows-moved"}
    _nothing_is_left(stack, list(report.canaries))
    _are_listed_on_request(stack, list(report.canaries))
    _is_kept(stack, told)
    _is_one_file(page.read_text("utf-8"), stack.url)


def _nothing_is_left(stack: Stack, canaries: list[str]) -> None:
    rows = {row["tenant_id"]: row for row in stack.rows(_CANARIES)}
    assert len(canaries) == 3
    for canary in canaries:
        row = rows[canary]
        assert (row["status"], row["keys"], row["documents"]) == ("suspended", 0, 0)
        assert row["charged"] == 0, "an invoice would be made for it"
    assert stack.violations() == []


def _are_listed_on_request(stack: Stack, canaries: list[str]) -> None:
    shown = tenantry(stack.home, "tenants", "list")
    assert not any(canary in shown.stdout for canary in canaries)
    assert "of ended audits of isolation (--all shows them)" in shown.stderr
    for option in ("--all", "--json"):
        done = tenantry(stack.home, "tenants", "list", option)
        assert all(canary in done.stdout for canary in canaries)
        assert done.stderr == ""


def _is_kept(stack: Stack, told: dict[str, Any]) -> None:
    listed = json.loads(stack.http("GET", "/admin/v1/audits?limit=1", admin=True)[2])
    (newest,) = listed["data"]
    assert newest["counts"] == told["counts"]
    one = stack.http("GET", f"/admin/v1/audits/{newest['id']}", admin=True)
    assert json.loads(one[2])["attacks"] == told["attacks"]
    assert stack.http("GET", "/admin/v1/audits/aud_none", admin=True)[0] == 404
    page = stack.http("GET", f"/admin/v1/audits?cursor={newest['id']}", admin=True)
    assert newest["id"] not in page[2].decode()
    for wrong in (
        {},
        {**told, "attacks": []},
        {**told, "attacks": told["attacks"][:1] * 2},
        {**told, "attacks": [{**told["attacks"][0], "outcome": "passed"}]},
        {**told, "started_at": "yesterday"},
    ):
        assert stack.http("POST", "/admin/v1/audits", wrong, admin=True)[0] == 400


def _is_one_file(html: str, url: str) -> None:
    assert "<script" not in html
    assert re.findall(r"(?:src|href)=", html) == []
    assert re.findall(r"https?://[^\s<\"]+", html.replace(url, "")) == []
    assert "No finding." in html


OWN = "tenant_id = current_setting('tenantry.tenant', true)"


def test_a_planted_flaw_is_found(stack: Stack) -> None:
    """Of many that are planted one by one (`make mutation-isolation`), one for every run."""
    broken = "ALTER POLICY own_tenant ON tenantry.document USING (true)"
    mended = f"ALTER POLICY own_tenant ON tenantry.document USING ({OWN})"
    with flawed(stack, broken, mended):
        status, told = audit(stack, "--only", "rows.table-document")
    assert status == 1
    assert [finding["id"] for finding in told["findings"]] == ["rows.table-document"]


@pytest.mark.slow
def test_a_model_that_obeys_tells_nothing_of_others() -> None:
    with running_stack(mode="models") as stack:
        status, told = audit(stack, "--only", "prompt.")
    assert (status, told["findings"]) == (0, [])
    made = [row["outcome"] for row in told["attacks"] if row["id"].startswith("prompt.")]
    assert len(made) >= 15
    assert set(made) == {"held"}


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_audit_that_is_interrupted_leaves_nothing(stack: Stack, ending: signal.Signals) -> None:
    def canaries() -> set[str]:
        return {row["tenant_id"] for row in stack.rows(_CANARIES)}

    before = canaries()
    command = [sys.executable, "-m", "tenantry.entrypoints.cli.main", "audit", "isolation"]
    command += ["--url", stack.url, "--admin-url", stack.admin_url]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TENANTRY_")}
    with subprocess.Popen(
        command,
        env={**clean, "TENANTRY_HOME": str(stack.home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        wait_until(lambda: len(canaries() - before) == 3, "the canaries are there")
        running.send_signal(ending)
        assert running.wait(60) == 130
    _nothing_is_left(stack, sorted(canaries() - before))


def test_what_cannot_be_audited_is_one_clear_line(stack: Stack, tmp_path: Path) -> None:
    nowhere = ("--url", "http://127.0.0.1:9")
    missing = tmp_path / "missing" / "report.html"
    for options, words in (
        (("--placement", "nowhere"), "there is no placement nowhere"),
        (nowhere, "GET /openapi.json"),
        (("--html", str(missing)), f"nothing can be written to the folder {missing.parent}"),
    ):
        before = len(stack.rows(_CANARIES))
        where = ("--url", stack.url, "--admin-url", stack.admin_url)
        done = tenantry(stack.home, "audit", "isolation", *where, *options)
        assert done.returncode != 0 and done.stdout == ""
        assert words in " ".join(done.stderr.split()) and "Traceback" not in done.stderr
        assert len(stack.rows(_CANARIES)) == before


def test_a_throttled_upload_of_a_canary_is_told_and_the_canaries_put_away(stack: Stack) -> None:
    before = {row["tenant_id"] for row in stack.rows(_CANARIES)}
    stack.emulator.rules({"match": {"operation": "InvokeModel"}, "action": {"kind": "throttle"}})
    try:
        where = ("--url", stack.url, "--admin-url", stack.admin_url)
        done = tenantry(stack.home, "audit", "isolation", *where)
    finally:
        stack.emulator.clear_rules()
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (1, "", False)
    assert "canary a: POST /v1/documents could not be made: 429" in done.stderr
    canaries = {row["tenant_id"] for row in stack.rows(_CANARIES)} - before
    _nothing_is_left(stack, sorted(canaries))


@pytest.fixture
def stale(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Id and name of a canary of an audit that was killed, with vectors in an engine that is not
    configured any more. Every canary that is active passes for an old one."""
    monkeypatch.setattr("tenantry.entrypoints.audit.ending._STALE_AFTER", timedelta(days=-1))
    name = f"audit-canary-killed-{secrets.token_hex(4)}"
    made = stack.tenant(name=name)
    noted = f"INSERT INTO tenantry.vector_room (tenant_id, engine) VALUES ('{made.id}', 'weaviate')"
    gone = f"DELETE FROM tenantry.vector_room WHERE tenant_id = '{made.id}'"
    with flawed(stack, noted, gone):
        yield made.id, name


def test_what_a_killed_audit_left_is_to_go_as_its_own_and_is_told_of(
    stack: Stack, stale: tuple[str, str]
) -> None:
    """Its vectors would cost, so it is to be shredded; the report says that it could not be."""
    tenant, name = stale
    report = run_audit(of(stack, "rows.table-document"), lambda who: stores(stack, who), _quietly)
    (finding,) = report.findings
    assert finding.id == "cleaning.documents"
    assert f"{name} was not shredded" in finding.detail
    assert "weaviate, which is not configured here" in finding.detail
    _nothing_is_left(stack, list(report.canaries))
    (row,) = [row for row in stack.rows(_CANARIES) if row["tenant_id"] == tenant]
    assert (row["status"], row["keys"]) == ("suspended", 0)


def test_ctrl_c_waits_for_the_old_canary_at_hand_and_ends_the_audit(
    stack: Stack, stale: tuple[str, str]
) -> None:
    tenant, _ = stale
    before = {row["tenant_id"] for row in stack.rows(_CANARIES)}

    def interrupted(_: str) -> str:
        signal.raise_signal(signal.SIGINT)
        return "nothing is local"

    with pytest.raises(KeyboardInterrupt):
        run_audit(of(stack), interrupted, _quietly)
    rows = {row["tenant_id"]: row for row in stack.rows(_CANARIES)}
    assert (rows[tenant]["status"], rows[tenant]["keys"]) == ("suspended", 0)
    assert rows.keys() == before, "it went on"


def _quietly(*_: object) -> None:
    pass


def stores(stack: Stack, tenant: str) -> Any:
    return local_stores(load_settings({"TENANTRY_HOME": str(stack.home)}), tenant)


def test_a_deployment_that_dies_leaves_a_report_that_names_the_canaries(doomed: Stack) -> None:
    kill_at = 5

    def killing(number: int, *_: object) -> None:
        if number == kill_at:
            doomed.kill_everything()

    report = run_audit(of(doomed), lambda tenant: stores(doomed, tenant), killing)
    outcomes = [result.outcome for result in report.results if result.wall is not Wall.CLEANING]
    assert len(outcomes) >= ATTACKS_MIN
    assert outcomes[kill_at] is Outcome.VOID, "it was under attack when it died"
    assert set(outcomes[kill_at + 1 :]) == {Outcome.NOT_RUN}
    (tenants,) = [result for result in report.results if result.id == "cleaning.tenants"]
    assert tenants.outcome is Outcome.FOUND
    doomed.revive()
    left = {row["tenant_id"]: row["name"] for row in doomed.rows(_CANARIES)}
    assert {left[canary] for canary in report.canaries} <= set(re.split(r"[,; ]+", tenants.detail))
    assert "`tenantry tenants suspend`" in tenants.detail
    assert "without a key that works" not in to_text(report)
    forever = "SELECT 1 FROM tenantry.api_key WHERE tenant_id = ANY($1) AND expires_at IS NULL"
    assert doomed.rows(forever, list(report.canaries)) == []


class Merging:
    """The stores of this machine; before a segment is exchanged a merge takes it away, once."""

    def __init__(self, stack: Stack, tenant: str) -> None:
        self._stack = stack
        self._stores = stores(stack, tenant)
        self.merged = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stores, name)

    def put(self, home: Home, kind: ObjectKind, object_id: str, data: bytes) -> None:
        if kind is ObjectKind.SEGMENT and not self.merged:
            self._merge(home, object_id)
        self._stores.put(home, kind, object_id, data)

    def _merge(self, home: Home, segment: str) -> None:
        key = self._stack.control(lambda control: control.create_key(home.tenant_id, name="merge"))
        headers = {"authorization": f"Bearer {key.bearer}"}
        named = "SELECT 1 FROM tenantry.document WHERE tenant_id = $1 AND segment_id = $2"
        while self._stack.rows(named, home.tenant_id, segment):
            self.merged += 1
            text = {"title": f"T{self.merged}", "text": f"Filling of number {self.merged}."}
            self._stack.http("POST", "/v1/documents", text, headers=headers)


def test_a_merge_under_an_attack_is_no_finding(stack: Stack) -> None:
    made: list[Merging] = []

    def merging(tenant: str) -> Any:
        made.append(Merging(stack, tenant))
        return made[-1]

    report = run_audit(of(stack, "seal.segment-cut"), merging, lambda *_: None)
    assert made[0].merged > 0
    assert report.findings == []
    assert "seal.segment-cut" in {result.id for result in report.results}


def test_one_attack_that_cannot_be_made_is_void_and_the_others_are_made(stack: Stack) -> None:
    class Losing(Merging):
        def get(self, home: Home, kind: ObjectKind, object_id: str) -> bytes:
            if kind is ObjectKind.ORIGINAL:
                raise NotFound("There is no such object.")
            return bytes(self._stores.get(home, kind, object_id))

        def put(self, home: Home, kind: ObjectKind, object_id: str, data: bytes) -> None:
            self._stores.put(home, kind, object_id, data)

    target = of(stack, "seal.original-swapped", "seal.segment-cut", "seal.key-secret-swapped")
    report = run_audit(target, lambda tenant: Losing(stack, tenant), lambda *_: None)  # type: ignore[arg-type,return-value]
    (finding,) = report.findings
    assert (finding.id, finding.outcome) == ("seal.original-swapped", Outcome.VOID)
    assert finding.detail == "it could not be made: There is no such object."


@pytest.mark.slow
def test_with_vectors_in_pgvector_and_a_kms_key_of_its_own_nothing_stays_that_costs() -> None:
    """The canaries are shredded: with them go their rooms and their KMS keys."""
    with running_stack(vectors="pgvector") as stack:
        status, told = audit(stack, "--placement", "pool", "--placement", "silo")
        assert (status, told["findings"]) == (0, [])
        outcomes = {row["id"]: row["outcome"] for row in told["attacks"]}
        assert {outcomes[f"seal.engine-row-{how}"] for how in ("swapped", "altered", "moved")} == {
            "held"
        }
        assert outcomes["seal.rows-moved"] == outcomes["cleaning.costs"] == "held"
        assert outcomes["seal.segment-cut"] == "not run here"

        def certified() -> bool:
            query = "SELECT count(*) FROM tenantry.shred WHERE certificate IS NOT NULL"
            return stack.rows(query)[0][0] == len(told["canaries"])

        wait_until(certified, "the canaries are shredded", 120)
        rooms = "SELECT relname FROM pg_class WHERE relname LIKE 'passage\\_tnt%' AND relkind = 'r'"
        assert stack.rows(rooms) == []
        kms_keys = [json.loads(path.read_text()) for path in stack.home.rglob("own-tnt_*.json")]
        assert [key["key"] for key in kms_keys] == [None], "an entry stays of a retired key"
        assert stack.violations() == []
