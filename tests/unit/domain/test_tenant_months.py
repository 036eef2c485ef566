"""Standings from the ledger's months: gaps, the running month, contributions, what is unknown."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tenantry.domain.advice import Reason, Verdict, advise
from tenantry.domain.tenant_months import TenantMonth, first_month, standings_of

NOW = datetime(2026, 11, 16, tzinfo=UTC)  # half of November


def month(number: int, cost: str, charges: str = "20000", name: str = "acme") -> TenantMonth:
    first = date(2026, number, 1)
    return TenantMonth(f"tnt_{name}", name, first, Decimal(cost), Decimal(charges), "USD", False)


@pytest.mark.parametrize(
    ("costs", "verdict"),
    [
        (("0", "0", "9000"), Verdict.POOL),  # one month
        (("5100", "5200", "5000"), Verdict.SILO),
        (("4999.99", "4999.99", "4999.99"), Verdict.POOL),
        (("4900", "5100", "4900"), Verdict.POOL),
        (("5100", "4900", "5100"), Verdict.SILO),
    ],
)
def test_the_cases_of_the_advice(costs: tuple[str, ...], verdict: Verdict) -> None:
    """Read on the first of November: the running month is taken to repeat October."""
    rows = [month(8 + place, cost) for place, cost in enumerate(costs)]
    [standing] = standings_of(rows, datetime(2026, 11, 1, 5, tzinfo=UTC), (), {}).values()
    assert standing.months == tuple(map(Decimal, costs))
    assert standing.forecast is None
    assert advise(standing).verdict is verdict


def test_the_running_month_is_forecast_by_the_time_that_has_passed() -> None:
    rows = [month(9, "5100"), month(10, "5200"), month(11, "2400")]
    [standing] = standings_of(rows, NOW, (), {}).values()
    assert standing.months == (Decimal(5100), Decimal(5200))
    assert standing.forecast == Decimal("4800.00")
    assert advise(standing).verdict is Verdict.POOL
    [stopped] = standings_of(rows[:2], NOW, (), {}).values()
    assert stopped.forecast == 0


def test_months_without_use_are_zero() -> None:
    [standing] = standings_of([month(6, "10"), month(9, "20")], NOW, (), {}).values()
    assert standing.months == tuple(map(Decimal, (10, 0, 0, 20, 0)))
    assert standing.contribution is None  # October has no row


def test_contribution_is_of_the_last_closed_month_in_usd() -> None:
    row = month(10, "6000", "6500")
    [standing] = standings_of([row], NOW, (), {}).values()
    assert standing.contribution == 500
    for currency, known in (("EUR", Decimal(1150)), ("", None), ("GBP", None)):
        euro = TenantMonth(row.tenant_id, row.tenant, row.month, row.cost, row.charges, currency,
                           row.silo)  # fmt: skip
        [standing] = standings_of([euro], NOW, (), {"EUR": Decimal("1.1")}).values()
        assert standing.contribution == known


def test_what_the_ledger_does_not_know_is_said() -> None:
    rows = [month(10, "10"), month(10, "20", name="bert")]
    found = standings_of(rows, NOW, ("bert",), {})
    acme, bert = advise(found["acme"]), advise(found["bert"])
    assert bert.reasons == (Reason.COMPLIANCE,)
    assert acme.reasons == ()
    assert [line for line in acme.evidence if "an unknown share" in line] == [
        "quota: an unknown share of a regional quota, from 30 % on asks for a silo",
        "throttles: an unknown share of others' requests, over 1 % asks for a silo",
    ]


def test_three_years_are_looked_at() -> None:
    assert first_month(NOW) == datetime(2023, 12, 1, tzinfo=UTC)
