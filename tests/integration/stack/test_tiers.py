"""Over the wire: reserved at the tier asked for, settled at the tier that served."""

from contextlib import closing
from decimal import Decimal

import pytest
from botocore.exceptions import ClientError, EventStreamError
from tests.support.metered import UNTIERED, WINDOW, MeteredStack
from tests.support.stack import wait_until

PRIORITY = {"serviceTier": {"type": "priority"}}
TIERS = {"service_tiers_allowed": ["default", "priority"]}


def test_asked_for_priority_served_default(metered: MeteredStack) -> None:
    anna, bert = metered.tenants(TIERS)
    # Twice: the first tells what was reserved, the second what was settled.
    ask = {**metered.ask(UNTIERED, WINDOW, 1_000), **PRIORITY}
    metered.rule(anna, "error_frame", times=1)
    with (
        closing(metered.boto3(anna).converse_stream(**ask)["stream"]) as stream,
        pytest.raises(EventStreamError, match="modelStreamErrorException"),
    ):
        list(stream)
    held = metered.wait_unknown(anna)
    assert held.held_cost == Decimal("0.07875")
    assert held.held_charge == 3 * held.held_cost
    metered.log()
    wait_until(lambda: not metered.open_requests(anna), "the log")

    before = metered.posted(anna)
    answer = metered.boto3(anna).converse(**ask)
    assert answer["serviceTier"] == {"type": "default"}
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-tenantry-charge"] == "0.135 USD"
    posted = metered.posted(anna)
    assert posted.cost - before.cost == Decimal("0.045")
    assert posted.held_cost == 0
    metered.agree(anna, bert)


def test_a_tier_that_the_plan_does_not_allow(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    with pytest.raises(ClientError) as refused:
        metered.boto3(anna).converse(**metered.ask(UNTIERED, 100, 10), **PRIORITY)
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert metered.bill(anna) == {}
    metered.agree(anna, bert)
