"""Over the wire: the answer, the log, and the log once more tell of one settlement."""

import shutil
from decimal import Decimal

import pytest
from tests.support.metered import CLAUDE, MeteredStack
from tests.support.stack import wait_until


@pytest.mark.parametrize("how", ["sigv4", "bearer"])
def test_told_three_times_posted_once(metered: MeteredStack, how: str) -> None:
    anna, bert = metered.tenants()
    answer = metered.boto3(anna, how).converse(**metered.ask(CLAUDE, 1_000, 500))
    assert answer["usage"]["inputTokens"] == 1_000
    assert answer["usage"]["outputTokens"] == 500
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-tenantry-charge"] == "0.0315 USD"

    before = _files(metered)
    metered.log()
    for file in _files(metered) - before:
        shutil.copy(file, file.with_name(f"again-{file.name}"))
    # The reader has seen both by the time that it trues up what comes after them.
    metered.rule(bert, "error_frame", times=1)
    list_broken(metered, bert)
    metered.log()
    wait_until(lambda: not metered.open_requests(bert), "the later record")

    posted = metered.posted(anna)
    assert posted.attempts == [(0, 1, "settled", True)]
    assert (posted.cost, posted.charge) == (Decimal("0.0105"), Decimal("0.0315"))
    metered.agree(anna, bert)


def list_broken(metered: MeteredStack, tenant: object) -> None:
    """A stream that ends in an error frame, read to its end."""
    status, _, _ = metered.http(
        "POST",
        f"/model/{CLAUDE.replace(':', '%3A')}/converse-stream",
        metered.prompt(CLAUDE, 20),
        tenant=tenant,  # type: ignore[arg-type]
    )
    assert status == 200


def _files(metered: MeteredStack) -> set:  # type: ignore[type-arg]
    return set((metered.home / "accounts").glob("**/*.json.gz"))
