"""What it does to a product that a few customers use most of it.

Customers' use is taken as log-normal: `sigma` 0 is all the same, 1 is usual, 2 is extreme. Shares
of usage and of customers, no money; they come from a bell curve and are rounded to a tenth of a
per cent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from statistics import NormalDist

from tenantry.domain.economics import Scenario, shown

SIGMA_MAX = 4
_TENTH = Decimal("0.1")
_BELL = NormalDist()


@dataclass(frozen=True, slots=True)
class Tail:
    """Per cent."""

    sigma: Decimal
    top_1_share: Decimal  # of all usage, by the heaviest hundredth of the customers
    top_10_share: Decimal
    median_use: Decimal  # of the customer in the middle, against the average
    loss_making: Decimal  # of the customers, that cost more than they bring


def tail_of(scenario: Scenario, sigma: Decimal) -> Tail:
    """`scenario` says what the average customer costs and brings. Sigma is from 0 to 4."""
    if not 0 <= sigma <= SIGMA_MAX:
        raise ValueError(f"sigma is from 0 to {SIGMA_MAX}")
    spread = float(sigma)
    return Tail(
        sigma,
        _percent(_top(0.01, spread)),
        _percent(_top(0.10, spread)),
        _percent(math.exp(-spread * spread / 2)),
        _percent(_losing(scenario, spread)),
    )


def _top(share: float, spread: float) -> float:
    return 1 - _BELL.cdf(_BELL.inv_cdf(1 - share) - spread)


def _losing(scenario: Scenario, spread: float) -> float:
    """Share of customers for whom use × slope + flat < 0, where use is 1 on average."""
    slope = float(scenario.contribution_of_use)
    flat = float(scenario.contribution_of_customer)
    if slope == 0:
        return float(flat < 0)
    edge = -flat / slope
    if edge <= 0:
        below = 0.0
    elif spread == 0:
        below = float(edge > 1)
    else:
        below = _BELL.cdf((math.log(edge) + spread * spread / 2) / spread)
    return below if slope > 0 else 1 - below


def _percent(share: float) -> Decimal:
    return shown(Decimal(repr(share * 100)), _TENTH)
