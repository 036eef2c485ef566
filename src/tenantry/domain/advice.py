"""Whether a tenant should have an account of its own, and why: advice, never a migration.

Tokens cost the same in pool and silo. A silo buys quota, blast radius, an exact bill and compliance
for a fixed floor; it saves nothing on tokens, which is what a negotiated discount does.

1. Spend asks for a silo where provider cost reached 5,000 USD in 2 of the last 3 closed months
   and is forecast to reach it again. Once it asked, it goes on until 3 months in a row stayed
   below 3,500, so that a tenant about the threshold has one answer and not another each month.
2. A compliance flag, a share of a regional quota, or throttles caused to others ask for it too,
   as long as they last.
3. What asks is held back while the floor is over 5 % of what the tenant contributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tenantry.domain import money

SPEND_USD = Decimal(5000)  # provider cost of a month from which a silo is asked for
CLEAR_USD = Decimal(3500)  # below it for WINDOW months spend asks no more
WINDOW = 3  # closed months that are looked at together
MONTHS_OF_WINDOW = 2  # of them, that have to reach SPEND_USD
QUOTA_SHARE = Decimal("0.30")  # of one regional quota
THROTTLES_SHARE = Decimal("0.01")  # of other tenants' requests; more than this
FLOOR_SHARE = Decimal("0.05")  # of the contribution; more than this holds
FLOOR_USD = Decimal(73)  # a month: the fixed cost of an account of one's own


class Verdict(StrEnum):
    SILO = "silo"
    HOLD = "hold"
    POOL = "pool"


class Reason(StrEnum):
    """What asks for a silo."""

    COMPLIANCE = "compliance"
    SPEND = "spend"
    QUOTA = "quota"
    THROTTLES = "throttles"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one tenant. Money in USD, shares as fractions of 1.

    `months` is the provider cost of its closed months, oldest first, without a gap: a month
    without use is 0. Where `forecast` is None the running month is taken to repeat the last.
    """

    months: tuple[Decimal, ...]
    forecast: Decimal | None = None
    contribution: Decimal | None = None  # of the last closed month; None: unknown, holds nothing
    compliance: bool = False
    quota_share: Decimal | None = None  # the largest, over models and regions; None: unknown
    throttles_caused: Decimal | None = None  # share of others' requests that it had throttled
    floor: Decimal = FLOOR_USD
    asked: bool = False  # whether spend asked for a silo before the first of the months

    def __post_init__(self) -> None:
        known = (self.forecast, self.contribution, self.quota_share, self.throttles_caused)
        for figure in (*self.months, *known, self.floor):
            if figure is not None and not figure.is_finite():
                raise ValueError(f"{figure} is no figure to advise by")

    @property
    def expected(self) -> Decimal:
        """Provider cost of the running month."""
        if self.forecast is not None:
            return self.forecast
        return self.months[-1] if self.months else money.ZERO

    @property
    def window(self) -> tuple[Decimal, ...]:
        return self.months[-WINDOW:]


@dataclass(frozen=True, slots=True)
class Advice:
    verdict: Verdict
    reasons: tuple[Reason, ...]  # what asks for a silo, also where it is held
    evidence: tuple[str, ...]  # a sentence for each rule, with its figures
    closed_months: int  # 0: there is nothing yet to advise spend by
    other_lever: str  # what would lower cost, which a silo does not


def advise(standing: Standing) -> Advice:
    """The advice on one tenant, with what it rests on."""
    reasons = tuple(_reasons(standing))
    held = _held(standing)
    verdict = Verdict.POOL
    if reasons:
        verdict = Verdict.HOLD if held else Verdict.SILO
    evidence = (*_evidence(standing), _floor_evidence(standing, held))
    return Advice(verdict, reasons, evidence, len(standing.months), _other_lever(standing))


def spend_asks(standing: Standing) -> bool:
    """Whether spend asks for a silo, replayed from the first month on.

    A month that has passed counts with its whole window, and what it cost was its forecast: what
    was expected then is not known any more.
    """
    asks = standing.asked
    months = standing.months
    for end in range(WINDOW, len(months)):
        window = months[end - WINDOW : end]
        asks = _goes_on(asks, window, expected=window[-1])
    return _goes_on(asks, standing.window, standing.expected)


def _goes_on(asked: bool, window: Sequence[Decimal], expected: Decimal) -> bool:
    if len(window) == WINDOW and all(cost < CLEAR_USD for cost in window):
        return False
    return asked or _asks_anew(window, expected)


def _asks_anew(window: Sequence[Decimal], expected: Decimal) -> bool:
    return _reaching(window) >= MONTHS_OF_WINDOW and expected >= SPEND_USD


def _reaching(window: Sequence[Decimal]) -> int:
    return sum(cost >= SPEND_USD for cost in window)


def _reasons(standing: Standing) -> list[Reason]:
    asking = {
        Reason.COMPLIANCE: standing.compliance,
        Reason.SPEND: spend_asks(standing),
        Reason.QUOTA: (standing.quota_share or money.ZERO) >= QUOTA_SHARE,
        Reason.THROTTLES: (standing.throttles_caused or money.ZERO) > THROTTLES_SHARE,
    }
    return [reason for reason, asks in asking.items() if asks]


def _held(standing: Standing) -> bool:
    if standing.contribution is None:
        return False
    return standing.floor > money.times(FLOOR_SHARE, standing.contribution)


def _evidence(standing: Standing) -> list[str]:
    return [
        f"compliance: {'required' if standing.compliance else 'not required'}",
        _spend_evidence(standing),
        f"quota: {_percent(standing.quota_share)} of a regional quota,"
        f" from {_percent(QUOTA_SHARE)} on asks for a silo",
        f"throttles: {_percent(standing.throttles_caused)} of others' requests,"
        f" over {_percent(THROTTLES_SHARE)} asks for a silo",
    ]


def _spend_evidence(standing: Standing) -> str:
    window = standing.window
    shown = ", ".join(map(_usd, window)) or "none"
    source = "" if standing.forecast is not None else ", taken from the last"
    words = (
        f"spend: last closed months {shown}; {_reaching(window)} reached {_usd(SPEND_USD)};"
        f" forecast {_usd(standing.expected)}{source}"
    )
    if spend_asks(standing) and not _asks_anew(window, standing.expected):
        words += f"; asked before, and has not been below {_usd(CLEAR_USD)} for {WINDOW} months"
    return words


def _floor_evidence(standing: Standing, held: bool) -> str:
    floor = f"floor: {_usd(standing.floor)} a month"
    if standing.contribution is None:
        return f"{floor}; contribution unknown, so nothing is held"
    limit = f"{_percent(FLOOR_SHARE)} of a contribution of {_usd(standing.contribution)}"
    return f"{floor}, {'over' if held else 'within'} {limit}"


def _other_lever(standing: Standing) -> str:
    lever = "a negotiated discount: tokens cost the same in pool and silo"
    if standing.expected <= 0:
        return lever
    each = money.EXACT.scaleb(standing.expected, -2)
    return f"{lever}; each per cent on {_usd(standing.expected)} a month saves {_usd(each)}"


def _usd(amount: Decimal) -> str:
    """To the cent, or in full where that would round a figure onto its limit."""
    cents = money.to_currency(amount, "USD")
    shown = cents if cents == amount else Decimal(money.plain(amount))
    return f"{shown:,f} USD"


def _percent(share: Decimal | None) -> str:
    if share is None:
        return "an unknown share"
    return f"{money.plain(money.times(share, Decimal(100)))} %"
