"""Over the wire: an agent's loop whose context grows runs up to its cap, to the cent."""

from decimal import Decimal
from typing import Any

import openai
import pytest
from botocore.exceptions import ClientError
from tests.support.metered import CLAUDE, MeteredStack
from tests.support.stack import Tenant
from tests.support.stack_clients import Reply, converse_body, converse_path

from tenantry.ports.control import Budget

RUN, CAP = "agent/26", Decimal("0.25")
CALLS, OUT = 10, 300
AROUND = 32  # the bound of one message and one block


def test_ten_calls_run_and_the_eleventh_is_refused(metered: MeteredStack) -> None:
    anna, bert = metered.tenants({"clamp_output": False})
    for who in (anna, bert):
        run = Budget(who.id, "run", RUN, "total", "cost", CAP)
        metered.control(lambda control, run=run: control.set_budget(run))
    spent = Decimal(0)
    for k in range(1, CALLS + 1):
        answer = _call(metered, anna, k)
        assert answer[0] == 200, answer[2]
        cost = (_input(k) * 3 + OUT * 15) * Decimal("0.000001")
        assert answer[1]["x-tenantry-charge"].split()[0] == f"{3 * cost.normalize():f}"
        spent += cost
    assert spent == Decimal("0.2400")
    before = metered.dispatched(anna)
    refused = _call(metered, anna, CALLS + 1)
    assert (refused[0], refused[1]["x-amzn-errortype"]) == (402, "BudgetExceeded")
    assert metered.dispatched(anna) == before == CALLS, "nothing was sent for it"

    posted = metered.posted(anna)
    assert (posted.cost, posted.charge) == (spent, 3 * spent)
    (row,) = metered.control(lambda control: control.list_budgets(anna.id))
    assert (row["scope"], row["scope_id"], row["settled"], row["reserved"]) == (
        "run", RUN, spent, 0,
    )  # fmt: skip
    # The run is the sum of its calls, and the tenant that of its runs: each counted once.
    for query in ("group_by=run", "group_by=key"):
        (usage,) = metered.api(anna).get(f"/v1/usage?{query}").body["data"]
        assert (usage["requests"], Decimal(usage["charge"])) == (CALLS, 3 * spent), query
    # Another tenant's run of the same name has spent nothing.
    assert _call(metered, bert, 1)[0] == 200
    metered.agree(anna, bert)


def test_no_sdk_sends_a_refused_call_again(metered: MeteredStack) -> None:
    """With each SDK's own retries: one request for a 402, and the run named as the how-to says."""
    anna, bert = metered.tenants()
    run = Budget(anna.id, "run", RUN, "total", "charge", Decimal("0.0001"))
    metered.control(lambda control: control.set_budget(run))
    sent: list[object] = []

    def name_run(request: Any, **_: object) -> None:
        request.headers["x-tenantry-run"] = RUN

    for how in ("sigv4", "bearer"):
        sdk = metered.boto3(anna, how, retries={})  # type: ignore[arg-type]
        sdk.meta.events.register("before-sign.bedrock-runtime.*", name_run)
        sdk.meta.events.register("before-send.bedrock-runtime.*", lambda **_: sent.append(1))
        for call in (sdk.converse, sdk.converse_stream):
            with pytest.raises(ClientError) as refused:
                call(modelId=CLAUDE, **converse_body(max_tokens=100))
            assert refused.value.response["Error"]["Code"] == "BudgetExceeded"
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 402
    assert len(sent) == 4

    hooks = {"request": [sent.append]}
    with openai.OpenAI(
        api_key=anna.key.bearer,
        base_url=f"{metered.url}/v1",
        default_headers={"x-tenantry-run": RUN},
        http_client=openai.DefaultHttpxClient(event_hooks=hooks),
    ) as client:
        for stream in (False, True):
            with pytest.raises(openai.APIStatusError) as told:
                client.chat.completions.create(
                    model=CLAUDE,
                    messages=[{"role": "user", "content": "hi"}],
                    max_completion_tokens=100,
                    stream=stream,
                )
            assert told.value.status_code == 402
    assert len(sent) == 6
    assert metered.posted(anna).attempts == []
    metered.agree(anna, bert)


def _input(k: int) -> int:
    return 1_000 + 1_000 * k


def _call(metered: MeteredStack, who: Tenant, k: int) -> Reply:
    """Whose reservation is exactly what it uses: the text's bytes are as many as its tokens."""
    metered.rule(who, "usage", times=1, input=_input(k), output=OUT)
    body = {
        "messages": [{"role": "user", "content": [{"text": "x" * (_input(k) - AROUND)}]}],
        "inferenceConfig": {"maxTokens": OUT},
    }
    reply = metered.http(
        "POST", converse_path(CLAUDE), body, tenant=who, headers={"x-tenantry-run": RUN}
    )
    metered.emulator.clear_rules()
    return reply
