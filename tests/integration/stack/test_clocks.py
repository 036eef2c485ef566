"""Over the wire: a gateway whose machine has the wrong time decides by the database's."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from botocore.exceptions import ClientError
from tests.support.metered import CLAUDE, MeteredStack
from tests.support.skewed import SkewedGateway
from tests.support.stack_clients import converse_body
from tests.support.watched import this_hour

from tenantry.ports.clock import Moment

AHEAD = {"7 min ahead": timedelta(minutes=7), "2 h behind": timedelta(hours=-2)}


@pytest.mark.parametrize("how", AHEAD)
def test_the_databases_time_is_used(
    metered: MeteredStack, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = AHEAD[how]
    # In this zone the wrong clock is in another day, or soon is.
    anna, bert = metered.tenants({"monthly_budget": "5", "requests_per_day": 10}, zone=_zone(ahead))
    _forget_notices(metered)
    with SkewedGateway(metered.home, ahead) as gateway:
        answer = gateway.boto3(anna).converse(modelId=CLAUDE, **converse_body(max_tokens=8))
        assert answer["usage"]["outputTokens"] == 8
        _refused_with_a_clock_of_its_own(gateway, anna, ahead, monkeypatch)
        # Its running period and its day are the database's, by whatever clock a query asks.
        (usage,) = gateway.api(anna).get("/v1/usage?group_by=day,hour").body["data"]
        limits = {x["name"]: x for x in gateway.api(anna).get("/v1/limits").body["data"]}
        assert datetime.fromisoformat(limits["requests_per_day"]["resets_at"]) > datetime.now(UTC)
        assert limits["requests_per_day"]["used"] == 1
    _everything_is_of_the_present(metered, anna, usage["day"])

    (notice,) = _notices(metered)
    assert notice["ahead_s"] == pytest.approx(ahead.total_seconds(), abs=30)
    assert notice["worker"].endswith("/gateway")
    with SkewedGateway(metered.home, -ahead):
        assert len(_notices(metered)) == 1, "once a day and worker"
    with SkewedGateway(metered.home, timedelta(seconds=5)):
        assert len(_notices(metered)) == 1, "within what a clock may be off"
    _forget_notices(metered)
    metered.agree(anna, bert)


def test_a_wrong_clock_of_the_database_fails_no_call(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    with SkewedGateway(metered.home) as gateway:
        clock = gateway.services.clock
        clock.set(Moment(datetime.now(UTC) + timedelta(hours=1), clock.monotonic(), 0.0))
        assert gateway.services.clock_ahead() < timedelta(minutes=-50)
        body = {"model": CLAUDE, "max_tokens": 8, "messages": [{"role": "user", "content": "Hi"}]}
        for _ in range(2):
            assert gateway.api(anna).post("/v1/chat/completions", body).status == 200
    metered.agree(anna, bert)


def _zone(ahead: timedelta) -> str:
    """Where it is the first hour of a day, or for a clock that is ahead the last one, which does
    not end meanwhile."""
    offset = ((23 if ahead > timedelta() else 0) - this_hour().hour) % 24
    offset -= 24 if offset > 12 else 0
    return f"Etc/GMT{-offset:+d}" if offset else "UTC"


def _refused_with_a_clock_of_its_own(
    gateway: SkewedGateway, anna: Any, ahead: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signature of the gateway's own wrong time is not fresh."""
    import botocore.auth

    with monkeypatch.context() as patched:
        wrong = datetime.now(UTC) + ahead
        patched.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: wrong)
        with pytest.raises(ClientError) as refused:
            gateway.boto3(anna).converse(modelId=CLAUDE, **converse_body(max_tokens=8))
    assert refused.value.response["Error"]["Code"] == "InvalidSignatureException"


def _everything_is_of_the_present(metered: MeteredStack, anna: Any, day: str) -> None:
    rows = metered.rows(
        "SELECT count(*) AS entries, bool_and(abs(extract(epoch FROM now() - e.admitted_at)) < 300)"
        " AS now, bool_and(e.day = (e.admitted_at AT TIME ZONE t.zone)::date) AS same_day,"
        " min(e.day::text) AS day, bool_and(e.period_start <= now()) AS begun,"
        " (SELECT count(*) FROM tenantry.budget_use u WHERE u.tenant_id = $1"
        "  AND (u.period_start > now() OR u.period_end <= now())) AS elsewhere"
        " FROM tenantry.charge_entry e JOIN tenantry.tenant t USING (tenant_id)"
        " WHERE e.tenant_id = $1",
        anna.id,
    )
    row = rows[0]
    assert (row["entries"], row["elsewhere"]) == (1, 0), "nothing in a closed or future period"
    assert row["now"]
    assert row["same_day"]
    assert row["begun"]
    assert row["day"] == day


def _notices(metered: MeteredStack) -> list[Any]:
    rows = metered.rows("SELECT body FROM tenantry.notice WHERE kind = 'platform.clock_skew'")
    return [json.loads(row["body"]) for row in rows]


def _forget_notices(metered: MeteredStack) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(metered.cluster().dsn("superuser"))
        try:
            await connection.execute(
                "DELETE FROM tenantry.notice WHERE kind = 'platform.clock_skew'"
            )
        finally:
            await connection.close()

    asyncio.run(run())
