"""Over the wire: calls too small for a cent each are a line that is rounded once."""

from datetime import date
from decimal import Decimal

import pytest
from tests.support.metered import TITAN, MeteredStack, text_of

from tenantry.adapters.postgres.contracts import PostgresContracts
from tenantry.adapters.postgres.control import PostgresControl
from tenantry.domain import money
from tenantry.domain.contract import ExchangeRate

CALLS, TOKENS, EACH = 100, 137, Decimal("0.0001644")  # 137 × $.40 per 1M × 3


def test_a_line_is_the_exact_sum_of_its_calls(metered: MeteredStack) -> None:
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


@pytest.mark.parametrize(("currency", "shown"), [("JPY", "2466"), ("KWD", "4.932")])
def test_to_the_currencys_minor_unit(metered: MeteredStack, currency: str, shown: str) -> None:
    """A tenant's invoices are in its contract's currency; its list charges stay in USD."""
    rate = {"JPY": Decimal(150), "KWD": Decimal("0.3")}[currency]

    def know(day: date) -> None:
        async def add(control: PostgresControl) -> None:
            known = ExchangeRate(day, "USD", currency, rate, "central bank")
            await PostgresContracts(control._pool).add_rate(known)

        metered.control(add)

    know(date(2999, 1, 1))  # enough for a contract, and none of the period's
    tenant = metered.tenant({"monthly_fee": "0"}, currency=currency)
    with metered.openai(tenant) as sdk:
        probe = sdk.embeddings.create(model=TITAN, input=text_of(100)).usage.prompt_tokens
        answer = sdk.embeddings.with_raw_response.create(
            model=TITAN, input=[text_of(100 + TOKENS - probe)] * CALLS
        )
    assert answer.headers["x-tenantry-charge"] == f"{money.plain(EACH * CALLS)} USD"
    api = metered.api(tenant)
    [draft] = api.get("/v1/invoices").body["data"]
    assert f"No rate from USD to {currency} is known" in draft["trouble"]
    assert api.get(f"/v1/invoices/{draft['number']}").status == 409
    exact = EACH * CALLS + probe * Decimal("0.0000012")
    know(date(2020, 1, 1))
    [draft] = api.get("/v1/invoices").body["data"]
    expected = money.to_currency(money.times(exact, rate), currency)
    assert (draft["currency"], draft["total"]) == (currency, format(expected, "f"))
    assert money.to_currency(money.times(Decimal("16.44"), rate), currency) == Decimal(shown)
    assert money.to_currency(money.times(EACH, rate), currency) == 0
