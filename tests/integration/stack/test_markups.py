"""A plan whose markup differs by model and token class, over the wire."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import quote

import pytest
from tests.support.metered import CLAUDE, MeteredStack

MESSAGES = [{"role": "user", "content": [{"text": "What does a tenant owe?"}]}]
BODY = {"messages": MESSAGES, "inferenceConfig": {"maxTokens": 64}}
IN_PRICE, OUT_PRICE = Decimal("0.000003"), Decimal("0.000015")


@pytest.mark.parametrize(
    ("table", "of_in", "of_out"),
    [
        ({"markup": "3", "markup_by_class": {"out": "1.25"}}, "3", "1.25"),
        (
            {"markup": "3", "markup_by_model": {CLAUDE: "2"}, "markup_by_class": {"out": "9"}},
            "2",
            "2",
        ),
    ],
    ids=["class", "model"],
)
def test_each_token_class_is_charged_by_its_own_markup(
    metered: MeteredStack, table: dict[str, object], of_in: str, of_out: str
) -> None:
    anna, bert = metered.tenants(table)
    path = f"/model/{quote(CLAUDE, safe='')}/converse"
    status, headers, answer = metered.http("POST", path, BODY, tenant=anna)
    assert status == 200, answer
    metered.wait_settled(anna)
    [used] = metered.bill(anna).values()
    cost_in, cost_out = used["input"] * IN_PRICE, used["output"] * OUT_PRICE
    charge = cost_in * Decimal(of_in) + cost_out * Decimal(of_out)
    assert headers["x-tenantry-charge"] == f"{charge.normalize():f} USD"
    posted = metered.posted(anna)
    assert (posted.cost, posted.charge) == (cost_in + cost_out, charge)
    metered.agree(anna, bert)
