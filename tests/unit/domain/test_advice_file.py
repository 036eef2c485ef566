"""The months of many tenants in one file, each tenant's its own."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tenantry.domain.advice import Standing
from tenantry.domain.advice_file import MONTHS_MAX, AdviceFileError, standings_from_csv

HEAD = "tenant,month,provider_cost_usd\n"


def test_rows_in_any_order_become_each_tenants_months() -> None:
    text = (
        HEAD + "bert,2026-01,7\nacme,2026-02,5200\nacme,2025-12,5100.50\nbert,2026-02,8\n"
        "acme,2026-01,5000\n"
    )
    closed, standings = standings_from_csv(text)
    assert closed == "2026-02"
    assert list(standings) == ["acme", "bert"]
    assert standings["acme"] == Standing((Decimal("5100.50"), Decimal(5000), Decimal(5200)))
    assert standings["bert"] == Standing((Decimal(7), Decimal(8)))


def test_a_month_without_a_row_had_no_cost() -> None:
    _, standings = standings_from_csv(HEAD + "acme,2025-11,9\nacme,2026-01,8\nbert,2026-03,1\n")
    assert standings["acme"].months == tuple(map(Decimal, (9, 0, 8, 0, 0)))


def test_months_that_are_not_closed_are_left_out() -> None:
    text = HEAD + "acme,2026-01,9\nacme,2026-02,1\nbert,2026-02,1\n"
    closed, standings = standings_from_csv(text, "2026-01")
    assert closed == "2026-01"
    assert standings == {"acme": Standing((Decimal(9),))}
    assert standings_from_csv(text, "2026-04")[1]["bert"].months == tuple(map(Decimal, (1, 0, 0)))


def test_what_else_is_known_is_that_of_the_last_month() -> None:
    text = (
        "tenant,month,provider_cost_usd,compliance,forecast_usd,contribution_usd,quota_share,"
        "throttles_caused\n"
        "acme,2026-01,1,true,99,99,0.9,0.9\n"
        "acme,2026-02,2,TRUE,3.5,-4,0.5,\n"
        "bert,2026-01,1,true,99,99,0.9,0.9\n"
    )
    _, standings = standings_from_csv(text)
    acme = Standing(
        (Decimal(1), Decimal(2)), Decimal("3.5"), Decimal(-4), True, Decimal("0.5"), None
    )
    assert standings["acme"] == acme
    assert standings["bert"] == Standing((Decimal(1), Decimal(0)), compliance=True)


def test_a_file_without_rows_has_nobody() -> None:
    assert standings_from_csv(HEAD) == (None, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must name the column tenant"),
        ("tenant,month\n", "must name the column provider_cost_usd"),
        ("tenant,month,provider_cost_usd,colour\n", "unknown column colour"),
        ("tenant,month,provider_cost_usd,month\n", "the column month stands twice"),
        (HEAD + "acme,2026-01\n", "line 2: not as many cells as columns"),
        (HEAD + "acme,2026-01,1,2\n", "line 2: not as many cells as columns"),
        (HEAD + "acme,2026-01,1\n ,2026-01,1\n", "line 3: no tenant"),
        (HEAD + "acme,2026-13,1\n", "a month is written like 2026-11"),
        (HEAD + "acme,2026-1,1\n", "a month is written like 2026-11"),
        (HEAD + "acme,2026-01,1\nacme,2026-01,2\n", "line 3: acme has 2026-01 twice"),
        (HEAD + "acme,2026-01,\n", "provider_cost_usd is empty"),
        (HEAD + "acme,2026-01,1e9\n", "provider_cost_usd must be a plain decimal"),
        (HEAD + "acme,2026-01,NaN\n", "provider_cost_usd must be a plain decimal"),
        (HEAD + 'acme,2026-01,"1,000"\n', "provider_cost_usd must be a plain decimal"),
        (HEAD + 'acme,2026-01,"1\n', "after line 1: unexpected end of data"),
        (HEAD + "acme,1026-01,1\nacme,2026-01,1\n", f"more than {MONTHS_MAX} months"),
        ("tenant,month,provider_cost_usd,compliance\na,2026-01,1,yes\n", "true or false"),
        ("tenant,month,provider_cost_usd,quota_share\na,2026-01,1,30\n", "a fraction of 1"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_line(text: str, message: str) -> None:
    with pytest.raises(AdviceFileError, match=message):
        standings_from_csv(text)


def test_the_last_month_is_a_month() -> None:
    with pytest.raises(AdviceFileError, match="the last month: a month is written like 2026-11"):
        standings_from_csv(HEAD, "November")
