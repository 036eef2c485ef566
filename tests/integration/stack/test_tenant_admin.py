"""What an admin of a tenant sets over the wire: budgets and API keys, of its own tenant alone."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from tests.support.metered import CLAUDE, NOVA, MeteredStack
from tests.support.stack import Tenant, wait_until
from tests.support.stack_clients import Reply, converse_body, converse_path

from tenantry.domain.budget import BudgetKey
from tenantry.domain.tenant import DEFAULT_SCOPES
from tenantry.ports.control import Budget, NewKey

PATH = converse_path(CLAUDE)


class Keyed:
    """A key that a test made."""

    def __init__(self, answer: Any) -> None:
        self.key = NewKey(answer["id"], answer["key"], "", "")


def call(
    stack: MeteredStack, who: Any, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = b"" if body is None else orjson.dumps(body)
    status, _, answer = stack.http(method, path, sent, tenant=who, headers=names)
    return status, orjson.loads(answer) if answer else None


def ask(stack: MeteredStack, who: Any, **headers: str) -> Reply:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return stack.http("POST", PATH, converse_body(max_tokens=8), tenant=who, headers=names)


@pytest.mark.parametrize("header", ["x_tenantry_user", "x_tenantry_run"])
def test_a_budget_of_a_user_or_run_holds_for_it_alone(metered: MeteredStack, header: str) -> None:
    anna, bert = metered.tenants()
    scope, name = header.rpartition("_")[2], "Ana-María" if header.endswith("user") else "r/1"
    sent = {header: name.encode().decode("latin-1")}
    assert ask(metered, anna, **sent)[0] == 200
    status, made = call(
        metered, anna, "POST", "/v1/budgets",
        {"scope": scope, "scope_id": name, "period": "total", "limit": "0.001", "currency": "USD"},
    )  # fmt: skip
    assert status == 201, made
    assert Decimal(made["settled"]) == metered.posted(anna).charge > 0, "what was spent counts"
    assert (made["limit"], made["set_by"], made["hard"]) == ("0.001", "tenant", True)
    assert (made["scope_id"] == name) == (scope == "run"), "a user is told by its hash"
    (usage,) = call(metered, anna, "GET", f"/v1/usage?group_by={scope}&{scope}={quote(name)}")[1][
        "data"
    ]
    assert usage[scope] == made["scope_id"]
    assert Decimal(usage["charge"]) == Decimal(made["settled"])
    for path in (f"/v1/usage?{scope}=other", f"/v1/usage?{scope}={'0' * 32}"):
        assert call(metered, anna, "GET", path)[1]["data"] == []

    def refused() -> bool:
        return ask(metered, anna, **sent)[0] == 402

    for _ in range(20):
        if refused():
            break
    assert refused()
    assert ask(metered, anna)[0] == 200
    assert ask(metered, anna, **{header: "other"})[0] == 200
    assert ask(metered, bert, **sent)[0] == 200

    assert call(metered, bert, "GET", "/v1/budgets")[1]["data"] == []
    assert call(metered, bert, "DELETE", f"/v1/budgets/{made['id']}")[0] == 404
    limits = {limit["name"]: limit for limit in call(metered, anna, "GET", "/v1/limits")[1]["data"]}
    shown = limits[f"budget {scope}:{made['scope_id']}"]
    assert (shown["basis"], shown["period"], shown["limit"]) == ("charge", "total", "0.001")
    assert Decimal(shown["settled"]) <= Decimal("0.001")
    assert call(metered, anna, "DELETE", f"/v1/budgets/{made['id']}")[0] == 204
    assert call(metered, anna, "DELETE", f"/v1/budgets/{made['id']}")[0] == 404
    assert ask(metered, anna, **sent)[0] == 200
    metered.agree(anna, bert)


def test_a_budget_counts_what_is_under_way_while_it_is_set(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    metered.rule(anna, "slow_first_token", delay_ms=2_000, times=1)
    sent = {"x_tenantry_run": "slow"}
    caller = threading.Thread(target=ask, args=(metered, anna), kwargs=sent)
    caller.start()
    wait_until(lambda: metered.posted(anna).open, "the dispatch")
    run = {"scope": "run", "scope_id": "slow", "period": "day", "limit": "1"}
    made = call(metered, anna, "POST", "/v1/budgets", run)[1]
    assert Decimal(made["reserved"]) == metered.posted(anna).held_charge > 0
    assert made["resets_at"] is not None
    caller.join(30)
    (listed,) = call(metered, anna, "GET", "/v1/budgets")[1]["data"]
    assert Decimal(listed["settled"]) == metered.posted(anna).charge
    assert listed["reserved"] == "0"
    again = call(metered, anna, "POST", "/v1/budgets", {**run, "limit": "2", "hard": False})[1]
    assert (again["limit"], again["hard"], again["settled"]) == ("2", False, listed["settled"])
    metered.agree(anna, bert)


def test_what_an_operator_set_is_not_a_tenants_to_change(metered: MeteredStack) -> None:
    anna, _ = metered.tenants({"monthly_budget": "50"})
    for basis in ("charge", "cost"):
        cap = Budget(anna.id, "tenant", anna.id, "month", basis, Decimal(9))  # type: ignore[arg-type]
        metered.control(lambda control, cap=cap: control.set_budget(cap))
    budgets = call(metered, anna, "GET", "/v1/budgets")[1]["data"]
    assert [(b["scope"], b["limit"], b["set_by"], b["basis"]) for b in budgets] == [
        ("plan", "50", "plan", "charge"), ("tenant", "9", "operator", "charge"),
    ]  # fmt: skip
    more = {"scope": "tenant", "period": "month", "limit": "1000000"}
    assert call(metered, anna, "POST", "/v1/budgets", more)[0] == 403
    assert call(metered, anna, "DELETE", f"/v1/budgets/{budgets[1]['id']}")[0] == 403
    guard = BudgetKey("tenant", "month", "cost").id
    assert call(metered, anna, "DELETE", f"/v1/budgets/{guard}")[0] == 404
    own = {"scope": "tenant", "period": "day", "limit": "1"}
    assert call(metered, anna, "POST", "/v1/budgets", own)[0] == 201
    # An operator's own route knows the user by the same hash, and takes over what it sets.
    user = {"scope": "user", "scope_id": "eve", "period": "day", "limit": "1"}
    made = call(metered, anna, "POST", "/v1/budgets", user)[1]
    admin = {**user, "tenant": anna.id}
    answer = metered.http("POST", "/admin/v1/budgets", admin, admin=True)
    assert orjson.loads(answer[2])["scope_id"] == made["scope_id"]
    assert call(metered, anna, "POST", "/v1/budgets", user)[0] == 403
    gone = f"/admin/v1/budgets/{made['id']}?tenant={anna.id}"
    assert metered.http("DELETE", gone, admin=True)[0] == 204
    assert metered.http("DELETE", gone, admin=True)[0] == 404


def test_an_application_sees_the_budgets_that_its_own_calls_count_against(
    metered: MeteredStack,
) -> None:
    anna, _ = metered.tenants({"monthly_budget": "50"})
    app, other = (
        Keyed(call(metered, anna, "POST", "/v1/keys", {"scopes": ["infer"]})[1]) for _ in "12"
    )
    for scope, scope_id in (
        ("tenant", None), ("api_key", app.key.id), ("api_key", other.key.id), ("user", "eve"),
        ("user", "bob"), ("run", "r1"), ("run", "r2"),
    ):  # fmt: skip
        body = {"scope": scope, "scope_id": scope_id, "period": "day", "limit": "1"}
        assert call(metered, anna, "POST", "/v1/budgets", body)[0] == 201
    guard = Budget(anna.id, "tenant", anna.id, "day", "cost", Decimal(1))
    metered.control(lambda control: control.set_budget(guard))

    def seen(who: Any, **headers: str) -> set[str]:
        data = call(metered, who, "GET", "/v1/limits", **headers)[1]["data"]
        return {limit["name"].partition(":")[0] for limit in data} | {
            limit["name"] for limit in data if "run" in limit["name"] or "key" in limit["name"]
        }

    own = {"monthly_budget", "budget tenant", "budget api_key", f"budget api_key:{app.key.id}"}
    assert seen(app) == own
    assert seen(app, x_tenantry_run="r1") == own | {"budget run", "budget run:r1"}
    assert seen(app, x_tenantry_user="eve", x_tenantry_run="r3") == own | {"budget user"}
    assert len(call(metered, anna, "GET", "/v1/limits")[1]["data"]) == 8


def test_budgets_have_pages_in_their_order(metered: MeteredStack) -> None:
    anna, _ = metered.tenants({"monthly_budget": "50"})
    for n in range(3):
        for period in ("day", "total"):
            run = {"scope": "run", "scope_id": f"r{n}", "period": period, "limit": "1"}
            assert call(metered, anna, "POST", "/v1/budgets", run)[0] == 201
    everything = call(metered, anna, "GET", "/v1/budgets")[1]["data"]
    assert len(everything) == 7
    found, cursor = [], ""
    while cursor is not None:
        page = call(metered, anna, "GET", f"/v1/budgets?limit=2{cursor and '&cursor=' + cursor}")[1]
        found += page["data"]
        cursor = page["next_cursor"]
    assert found == everything


def test_the_command_line_names_users_and_runs_as_requests_do(metered: MeteredStack) -> None:
    anna, _ = metered.tenants()
    for options, status in (
        (["--user", "eve", "--limit", "0", "--soft"], 0),
        (["--run", "r", "--api-key", "k", "--limit", "1"], 2),
        (["--api-key", "key_" + "0" * 26, "--limit", "1"], 1),
    ):
        assert _tenantry(metered, "set", anna.name, *options)[0] == status
    status, said = _tenantry(metered, "show", anna.name, "--json")
    (shown,) = json.loads(said)
    assert (status, shown["scope"], shown["limit"], shown["hard"]) == (0, "user", "0", False)
    assert ask(metered, anna, x_tenantry_user="eve")[0] == 200, "a soft one admits"
    (usage,) = call(metered, anna, "GET", "/v1/usage?group_by=user&user=eve")[1]["data"]
    assert usage["user"] == shown["scope_id"]
    assert "over_soft_budget" in metered.posted(anna).flags
    for user, rows in (("eve", 1), ("mallory", 0)):
        status, said = _tenantry(metered, anna.name, "--user", user, "--json", command="usage")
        assert (status, len(json.loads(said))) == (0, rows)
    assert ask(metered, anna, x_tenantry_user="mallory")[0] == 200
    path = "/v1/usage?group_by=user&limit=1"
    page = call(metered, anna, "GET", path)[1]
    rest = call(metered, anna, "GET", f"{path}&cursor={page['next_cursor']}")[1]
    assert page["data"][0]["user"] < rest["data"][0]["user"] and rest["next_cursor"] is None
    cut = _tenantry(metered, anna.name, "--by=user", "--limit=1", "--json", command="usage")[1]
    assert len(json.loads(cut)) == 1
    assert _tenantry(metered, "remove", anna.name, "--user", "eve")[0] == 0
    assert _tenantry(metered, "remove", anna.name, "--user", "eve")[0] == 1
    metered.agree(anna)


def _tenantry(metered: MeteredStack, *arguments: str, command: str = "budgets") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tenantry.entrypoints.cli.main", command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"TENANTRY_HOME": str(metered.home), "PATH": "/usr/bin:/bin", "HOME": "/tmp"},
    )
    return done.returncode, done.stdout


LIMITED = {"scope": "run", "scope_id": "r", "period": "day", "limit": "1"}
BAD_BUDGETS: list[dict[str, Any]] = [
    {"limit": "-1"}, {"limit": "NaN"}, {"limit": "Infinity"}, {"limit": "1e3"}, {"limit": ""},
    {"limit": 0.25}, {"limit": 1}, {"limit": None}, {"limit": "1" * 13}, {"limit": "0." + "1" * 13},
    {"limit": "٣"}, {"limit": " 1"}, {"scope": "planet"}, {"scope": "plan"}, {"scope_id": ""},
    {"scope_id": None}, {"scope_id": "a b"}, {"scope_id": "r" * 129}, {"scope_id": 7},
    {"period": "week"}, {"period": "DAY"}, {"currency": "EUR"}, {"currency": "usd"},
    {"hard": "yes"}, {"hard": None}, {"set_by": "operator"}, {"tenant_id": "x"},
    {"scope": "user", "scope_id": " "}, {"scope": "user", "scope_id": "u" * 257},
    {"scope": "user", "scope_id": "a\nb"}, {"scope": "user", "scope_id": "a\x00b"},
    {"scope": "user", "user_hash": "0" * 32}, {"user_hash": "0" * 32},
    {"scope": "user", "scope_id": None, "user_hash": "zz"},
    {"scope": "tenant", "scope_id": "tnt_" + "0" * 26}, {"scope": "api_key", "scope_id": "sk-1"},
]  # fmt: skip


@pytest.mark.parametrize("change", BAD_BUDGETS, ids=str)
def test_a_budget_that_is_none_is_refused_on_both_ports(
    metered: MeteredStack, admins: tuple[Tenant, Tenant], change: dict[str, Any]
) -> None:
    anna, _ = admins
    body = {**LIMITED, **change}
    status, answer = call(metered, anna, "POST", "/v1/budgets", body)
    assert (status, answer["code"]) == (400, "bad_request"), answer
    assert answer["detail"]
    own = metered.http("POST", "/admin/v1/budgets", {**body, "tenant": anna.id}, admin=True)
    assert own[0] == 400, own[2]
    assert call(metered, anna, "GET", "/v1/budgets")[1]["data"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/admin/v1/budgets/bud_x", 400),  # whose?
        ("/admin/v1/budgets/bud_x?tenant=nobody", 404),
        ("/admin/v1/budgets/bud_x?tenant={tenant}", 404),
        ("/admin/v1/budgets/{budget}?tenant={tenant}", 404),  # none was set
        ("/admin/v1/budgets/{budget}?tenant={tenant}&x=1", 400),
        ("/v1/budgets/bud_x", 404),
        ("/v1/budgets/%00", 404),
        ("/v1/budgets/{budget}", 404),
    ],
)
def test_a_budget_that_is_not_there_cannot_be_removed(
    metered: MeteredStack, admins: tuple[Tenant, Tenant], path: str, status: int
) -> None:
    path = path.format(tenant=admins[0].id, budget=BudgetKey("run:r", "day", "charge").id)
    admin = path.startswith("/admin")
    reply = metered.http("DELETE", path, tenant=None if admin else admins[0], admin=admin)
    assert reply[0] == status, reply[2]


def test_a_guard_in_cost_is_no_tenants_to_set(
    metered: MeteredStack, admins: tuple[Tenant, Tenant]
) -> None:
    assert call(metered, admins[0], "POST", "/v1/budgets", {**LIMITED, "basis": "cost"})[0] == 400


def test_another_tenants_api_key_is_none(
    metered: MeteredStack, admins: tuple[Tenant, Tenant]
) -> None:
    anna, bert = admins
    body = {**LIMITED, "scope": "api_key", "scope_id": bert.key.id}
    assert call(metered, anna, "POST", "/v1/budgets", body)[0] == 404
    answer = metered.http("POST", "/admin/v1/budgets", {**body, "tenant": anna.id}, admin=True)
    assert answer[0] == 404
    assert call(metered, anna, "DELETE", f"/v1/keys/{bert.key.id}")[0] == 404
    assert call(metered, anna, "DELETE", "/v1/keys/key_nobody")[0] == 404
    assert call(metered, anna, "DELETE", "/v1/keys/%00")[0] == 404
    assert ask(metered, bert)[0] == 200


def test_keys_of_an_admin(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    body = {"name": "app", "scopes": ["infer"], "models_allowed": [NOVA]}
    status, headers, answer = metered.http("POST", "/v1/keys", body, tenant=anna)
    assert (status, headers["cache-control"]) == (201, "no-store")
    app = Keyed(orjson.loads(answer))
    listed = call(metered, anna, "GET", "/v1/keys")[1]["data"]
    assert {row["id"] for row in listed} == {anna.key.id, app.key.id}
    assert app.key.bearer not in str(listed)
    row = next(row for row in listed if row["id"] == app.key.id)
    assert (row["scopes"], row["models_allowed"], row["name"]) == (["infer"], [NOVA], "app")
    assert metered.http("POST", converse_path(NOVA), converse_body(), tenant=app)[0] == 200
    assert ask(metered, app)[0] == 403, "another model"
    for method, path in (("GET", "/v1/keys"), ("POST", "/v1/keys"), ("GET", "/v1/budgets")):
        assert call(metered, app, method, path, {})[0] == 403
    assert call(metered, bert, "GET", "/v1/keys")[1]["data"][0]["id"] == bert.key.id

    for _ in "twice":
        assert call(metered, anna, "DELETE", f"/v1/keys/{app.key.id}")[0] == 204
    assert metered.http("POST", converse_path(NOVA), converse_body(), tenant=app)[0] == 403
    assert call(metered, app, "GET", "/v1/limits")[0] == 401
    metered.agree(anna, bert)


def test_a_key_makes_none_mightier_than_itself(metered: MeteredStack) -> None:
    anna, _ = metered.tenants()
    narrow = {"scopes": ["admin"], "models_allowed": [NOVA, CLAUDE]}
    maker = Keyed(call(metered, anna, "POST", "/v1/keys", narrow)[1])
    for models in ([NOVA, "amazon.nova-lite-v1:0"], ["amazon.nova-pro-v1:0"]):
        refused = call(metered, maker, "POST", "/v1/keys", {"models_allowed": models})
        assert (refused[0], refused[1]["code"]) == (403, "model_not_allowed")
    made = Keyed(call(metered, maker, "POST", "/v1/keys", {"models_allowed": [NOVA]})[1])
    same = Keyed(call(metered, maker, "POST", "/v1/keys", {})[1])
    rows = {row["id"]: row for row in call(metered, maker, "GET", "/v1/keys")[1]["data"]}
    assert rows[made.key.id]["models_allowed"] == [NOVA]
    assert rows[same.key.id]["models_allowed"] == sorted([NOVA, CLAUDE]), "its maker's"
    assert rows[same.key.id]["scopes"] == sorted(DEFAULT_SCOPES)
    # A mighty one may end it, and it may end itself: another admin's is left.
    assert call(metered, maker, "DELETE", f"/v1/keys/{maker.key.id}")[0] == 204


def test_the_last_key_of_an_admin_stays(metered: MeteredStack) -> None:
    anna, _ = metered.tenants()
    soon = {"scopes": ["admin"], "expires_at": "2999-01-01T00:00:00Z"}
    own = f"/v1/keys/{anna.key.id}"
    assert call(metered, anna, "DELETE", own)[0] == 409
    other = Keyed(call(metered, anna, "POST", "/v1/keys", soon)[1])
    results: list[int] = []

    def end(who: Any, which: str) -> None:
        results.append(call(metered, who, "DELETE", f"/v1/keys/{which}")[0])

    both = [
        threading.Thread(target=end, args=(anna, other.key.id)),
        threading.Thread(target=end, args=(other, anna.key.id)),
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(30)
    assert results.count(204) == 1, "of two that end each other at once, one stays"
    left = [who for who in (anna, other) if call(metered, who, "GET", "/v1/keys")[0] == 200]
    assert len(left) == 1
    assert call(metered, left[0], "DELETE", f"/v1/keys/{left[0].key.id}")[0] == 409


BAD_KEYS: list[dict[str, Any]] = [
    {"scopes": ["root"]}, {"scopes": "admin"}, {"scopes": []}, {"scopes": [1]},
    {"models_allowed": []}, {"models_allowed": ["gpt-9"]}, {"models_allowed": "x"},
    {"models_allowed": [NOVA] * 101}, {"models_allowed": [""]}, {"models_allowed": [7]},
    {"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": "2999-01-01T00:00:00"},
    {"expires_at": "soon"}, {"expires_at": 1e12}, {"name": "x" * 129}, {"name": " "},
    {"name": "a\x00"}, {"name": 7}, {"tenant": "x"}, {"api_key_id": "key_x"},
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_KEYS, ids=lambda body: str(body)[:60])
def test_a_key_that_is_none_is_refused(
    metered: MeteredStack, admins: tuple[Tenant, Tenant], body: dict[str, Any]
) -> None:
    status, answer = call(metered, admins[0], "POST", "/v1/keys", body)
    assert (status, answer["code"]) == (400, "bad_request"), answer
    assert len(call(metered, admins[0], "GET", "/v1/keys")[1]["data"]) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/v1/budgets?limit=0", "/v1/budgets?limit=101", "/v1/budgets?cursor=x", "/v1/budgets?a=b",
        "/v1/keys?limit=-1", "/v1/keys?cursor=%00", "/v1/keys?cursor=a&cursor=b",
        "/v1/usage?user=", "/v1/usage?user=%0A", "/v1/limits?x=1",
    ],
)  # fmt: skip
def test_a_query_that_is_none_is_refused(
    metered: MeteredStack, admins: tuple[Tenant, Tenant], path: str
) -> None:
    assert call(metered, admins[0], "GET", path)[0] == 400


@pytest.fixture(scope="module")
def admins(metered: MeteredStack) -> tuple[Tenant, Tenant]:
    return metered.tenants()
