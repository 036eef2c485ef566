"""kill -9 of every part under load: nothing that was acknowledged is lost, the books agree."""

import contextlib
import http.client
import random
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from tests.support.stack import MODEL, Stack, Tenant, wait_until
from tests.support.stack_clients import converse_body, converse_path
from tests.support.stack_load import Acknowledged, Load

_SETTLED = """
SELECT DISTINCT request_id::text FROM tenantry.attempt
WHERE tenant_id = $1 AND ending = 'settled' AND charged
"""
_TEXT = b"What the bystander keeps."


def _gateway_and_postgres(stack: Stack) -> None:
    stack.kill_postgres()
    stack.kill_gateway_worker()


def _worker_and_supervisor(stack: Stack) -> None:
    stack.kill_gateway_worker()
    stack.kill_supervisor()


CRASHES: dict[str, Callable[[Stack], object]] = {
    "gateway worker": Stack.kill_gateway_worker,
    "background worker": Stack.kill_background_worker,
    "supervisor": Stack.kill_supervisor,
    "postgres": Stack.kill_postgres,
    "gateway and postgres": _gateway_and_postgres,
    "worker and supervisor": _worker_and_supervisor,
    "everything": Stack.kill_everything,
}


@pytest.mark.parametrize(
    "victim",
    [pytest.param(v, marks=pytest.mark.slow if "supervisor" in v else ()) for v in CRASHES],
)
def test_a_crash_loses_nothing_that_was_acknowledged(doomed: Stack, victim: str) -> None:
    anna, bert = doomed.tenants()
    kept = _bystander(doomed, bert)
    before = doomed.ledger(bert)
    with Load(doomed, anna) as load:
        load.wait_for_more(12)
        CRASHES[victim](doomed)
        doomed.revive()
        load.wait_for_more(12)
    doomed.wait_accounted(anna, bert)
    _assert_kept(doomed, anna, load.seen)
    assert _content(doomed, bert, kept) == _TEXT
    assert doomed.ledger(bert) == before
    assert doomed.violations() == []
    assert _in_flight(doomed) == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_crash_after_crash_loses_nothing(doomed: Stack, seed: int) -> None:
    anna, bert = doomed.tenants()
    victims = random.Random(seed).choices(list(CRASHES), k=6)
    with Load(doomed, anna) as load, Load(doomed, bert) as other:
        for victim in victims:
            load.wait_for_more(8)
            CRASHES[victim](doomed)
            doomed.revive()
        load.wait_for_more(8)
        other.wait_for_more(8)
    doomed.wait_accounted(anna, bert)
    _assert_kept(doomed, anna, load.seen)
    _assert_kept(doomed, bert, other.seen)
    assert doomed.violations() == []
    assert _in_flight(doomed) == 0


def test_a_new_supervisor_can_have_the_ports_of_a_killed_one(doomed: Stack) -> None:
    """Its orphaned workers end their requests, and listen no more."""
    anna, bert = doomed.tenants()
    ports = {
        f"{name}_port": urlsplit(url).port
        for name, url in (
            ("http", doomed.url),
            ("https", doomed.https_url),
            ("admin", doomed.admin_url),
        )
    }
    hang = {"match": {"request_metadata": {"tid": anna.id}}, "times": 1}
    doomed.emulator.rules({**hang, "action": {"kind": "hang", "for_ms": 5_000}})
    asking = threading.Thread(target=_ask_in_vain, args=(doomed, anna))
    asking.start()
    wait_until(lambda: doomed.open_requests(anna), "the request is under way")
    doomed.kill_supervisor()
    doomed.restart(**ports)
    before = doomed.url
    doomed.boto3(bert).converse(modelId=MODEL, **converse_body())
    asking.join()
    doomed.restart(http_port=0, https_port=0, admin_port=0)
    assert urlsplit(before).port == ports["http_port"]
    doomed.wait_accounted(anna, bert)
    assert len(doomed.ledger(bert)) == 1
    assert doomed.violations() == []


def _ask_in_vain(stack: Stack, tenant: Tenant) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        path, body = converse_path(MODEL), converse_body()
        assert stack.http("POST", path, body, tenant=tenant)[0] != 200


def _bystander(stack: Stack, tenant: Tenant) -> str:
    """A document and a call of a tenant that does nothing while the others crash."""
    stack.boto3(tenant).converse(modelId=MODEL, **converse_body())
    body = {"title": "Kept", "text": _TEXT.decode()}
    added = stack.api(tenant).post("/v1/documents", body)
    assert added.status == 201, added.body
    stack.wait_settled(tenant)
    document_id: str = added.body["id"]
    return document_id


def _assert_kept(stack: Stack, tenant: Tenant, seen: Acknowledged) -> None:
    settled = {row[0] for row in stack.rows(_SETTLED, tenant.id)}
    assert seen.answers <= settled, "an acknowledged answer is missing in the ledger"
    lost = [
        document_id
        for document_id, text in seen.documents.items()
        if _content(stack, tenant, document_id) != text
    ]
    assert not lost, "acknowledged documents are lost"


def _content(stack: Stack, tenant: Tenant, document_id: str) -> bytes:
    status, _, data = stack.http("GET", f"/v1/documents/{document_id}/content", tenant=tenant)
    return data if status == 200 else b""


def _in_flight(stack: Stack) -> int:
    count: int = stack.rows("SELECT sum(in_flight)::bigint FROM tenantry.counter")[0][0]
    return count
