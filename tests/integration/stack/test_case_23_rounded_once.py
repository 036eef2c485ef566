"""Case 23 over the wire: calls too small for a cent each are a line that is rounded once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from tests.support.metered import TITAN, MeteredStack, text_of

from tenantry.domain import money
from tenantry.domain.invoice import draft
from tenantry.domain.period import Span
from tenantry.domain.usage_line import UsageLine

CALLS, TOKENS, EACH = 100, 137, Decimal("0.0001644")  # 137 × $.40 per 1M × 3


def test_case_23_a_line_is_the_exact_sum_of_its_calls(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    with metered.openai(anna) as sdk:
        probe = sdk.embeddings.create(model=TITAN, input=text_of(100)).usage.prompt_tokens
        text = text_of(100 + TOKENS - probe)
        answer = sdk.embeddings.with_raw_response.create(model=TITAN, input=[text] * CALLS)
    assert answer.headers["x-tenantry-charge"] == f"{money.plain(EACH * CALLS)} USD"
    assert answer.parse().usage.prompt_tokens == CALLS * TOKENS

    posted = metered.posted(anna)
    exact = EACH * CALLS + probe * Decimal("0.0000012")
    assert posted.charge == exact
    invoices = metered.api(anna).get("/v1/invoices").body["data"]
    draft_of = metered.api(anna).get(f"/v1/invoices/{invoices[0]['number']}").body
    (line,) = draft_of["lines"]
    assert (line["charge"], line["amount"]) == (money.plain(exact), "0.02")
    assert draft_of["total"] == "0.02", "rounded call by call it would be 0"
    metered.agree(anna, bert)


@pytest.mark.parametrize(
    ("currency", "shown"), [("USD", "16.44"), ("JPY", "16"), ("KWD", "16.440")]
)
def test_case_23_to_the_currencys_minor_unit(
    metered: MeteredStack, currency: str, shown: str
) -> None:
    tenant = metered.tenant(currency=currency)
    charge = money.total([EACH] * 100_000)
    assert charge == Decimal("16.44")
    now = datetime.now(UTC)
    owner = metered.control(lambda control: control.get_tenant(tenant.id))
    usage = [UsageLine(TITAN, "embedding", 100_000 * TOKENS, charge)]
    invoice = draft(owner, Span(now - timedelta(days=30), now), now, usage)
    assert invoice.to_json()["total"] == shown
    assert money.to_currency(EACH, currency) == 0
