"""What a tenant has agreed to pay: terms that take effect on a day, tax, credit and currency.

Terms are versioned and never edited: a change is a further entry. Fees change on that day, pro
rata; included tokens, steps and minimum of a period are those of its first day under contract, so
that nobody can raise an allowance for a month on its last day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tenantry.domain import money
from tenantry.domain.agreement import check_currency
from tenantry.domain.overage import Overage, overage_from
from tenantry.domain.plan import Plan
from tenantry.domain.proration import Days
from tenantry.domain.tax import TaxRate

LIST_CURRENCY = "USD"  # of list charges: provider prices are in USD
RATE_DIGITS_MAX = 12  # before and after the point: products with list charges stay exact
SOURCE_CHARS_MAX = 200


class ContractError(ValueError):
    """The contract cannot be invoiced as it stands; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds from the civil day `starts` on. Money in the contract's currency."""

    starts: date
    plan: str
    fee: Decimal  # for a whole billing period
    overage: Overage | None = None  # None: tokens are charged by list
    minimum: Decimal = money.ZERO  # of a whole billing period, fee included, before tax

    def goes_by_order(self, tokens: int) -> bool:
        """Whether what other usage of a period costs depends on when usage of it is invoiced that
        is so many tokens, more or fewer. What moves no token, as a corrected price, goes by order
        under a minimum alone."""
        if self.minimum > 0:
            return True
        return tokens != 0 and self.overage is not None and not self.overage.is_even


def terms_of(plan: Plan, starts: date) -> Terms:
    """What a version of a plan asks from a day on. Raises `PlanError`."""
    overage = overage_from(plan.name, plan.overage)
    return Terms(starts, plan.name, plan.monthly_fee, overage, plan.minimum)


def terms_until(terms: tuple[Terms, ...], ends: date | None) -> tuple[Terms, ...]:
    """Versions of plans go on for others after a contract's end."""
    return tuple(each for each in terms if ends is None or each.starts < ends)


def terms_from(terms: Sequence[Terms], day: date) -> Terms:
    """Whose allowance, steps and minimum a period has that begins on a day. At least one is given,
    in the order of their days, and all start before the contract's end."""
    return next((each for each in reversed(terms) if each.starts <= day), terms[0])


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """From its day on, one unit of `base` is `rate` units of `quote`."""

    day: date
    base: str
    quote: str
    rate: Decimal
    source: str  # who says so: what an auditor looks up

    def check(self) -> None:
        """Raises `ContractError` for what cannot be a rate."""
        check_currency(self.base)
        check_currency(self.quote)
        if self.base != LIST_CURRENCY or self.quote == self.base:
            raise ContractError(f"a rate is from {LIST_CURRENCY} to another currency")
        if not (self.rate.is_finite() and self.rate > 0):
            raise ContractError("an exchange rate is more than 0")
        exponent = self.rate.as_tuple().exponent
        if not isinstance(exponent, int) or exponent < -RATE_DIGITS_MAX:
            raise ContractError(f"an exchange rate has at most {RATE_DIGITS_MAX} decimals")
        if self.rate.adjusted() >= RATE_DIGITS_MAX:
            raise ContractError(f"an exchange rate has at most {RATE_DIGITS_MAX} digits in front")
        source = self.source
        if not source.strip() or len(source) > SOURCE_CHARS_MAX or not source.isprintable():
            raise ContractError(
                f"an exchange rate names its source in at most {SOURCE_CHARS_MAX} printable"
                " characters"
            )


@dataclass(frozen=True, slots=True)
class Contract:
    """One tenant's, as known when a period is invoiced.

    `prepaid` is what is left of a credit that pays after tax. `usage_currency` is that of the
    usage lines' list charge; where it is another than the contract's, a dated rate converts it.
    """

    zone: str
    terms: tuple[Terms, ...]
    currency: str = "USD"
    ends: date | None = None  # the first civil day that is no longer under contract
    tax_rate: Decimal = money.ZERO  # a fraction: 8.25 % is 0.0825
    tax_label: str = "Tax"
    prepaid: Decimal = money.ZERO
    usage_currency: str = LIST_CURRENCY
    rates: tuple[ExchangeRate, ...] = ()

    def __post_init__(self) -> None:
        if not self.terms:
            raise ContractError("a contract has terms")
        starts = [terms.starts for terms in self.terms]
        if sorted(set(starts)) != starts:
            raise ContractError("terms must stand in the order of their days, one a day")
        if self.ends is not None and self.ends <= starts[-1]:
            raise ContractError(f"the contract ends on {self.ends}, before its last terms start")
        if not (self.tax_rate.is_finite() and 0 <= self.tax_rate < 1):
            raise ContractError("a tax rate is a fraction from 0 to less than 1")
        prepaid = self.prepaid
        if not (prepaid.is_finite() and prepaid >= 0):
            raise ContractError("a prepaid credit is not negative")
        if money.to_currency(prepaid, self.currency) != prepaid:
            raise ContractError(f"a prepaid credit of {prepaid} is no amount in {self.currency}")
        if any(not (rate.rate.is_finite() and rate.rate > 0) for rate in self.rates):
            raise ContractError("an exchange rate is more than 0")

    @property
    def tax(self) -> TaxRate:
        return TaxRate(self.tax_rate, self.tax_label)

    def is_over(self, period: Days) -> bool:
        """Whether it had ended before a period began."""
        return self.ends is not None and self.ends <= period.start

    def in_force(self, period: Days) -> list[tuple[Terms, Days]]:
        """The terms of a period with their days, in order. Raises `ContractError` if none."""
        following: Sequence[date | None] = [terms.starts for terms in self.terms[1:]]
        found = []
        for terms, end in zip(self.terms, [*following, self.ends], strict=True):
            days = Days(terms.starts, end or period.end).within(period)
            if days.count:
                found.append((terms, days))
        if not found:
            raise ContractError(f"no terms are in force from {period.start} to {period.end}")
        return found

    def usage_rate(self, day: date) -> ExchangeRate | None:
        """What converts list charges on a day: the latest dated on or before it.

        None where nothing is to be converted. Raises `ContractError` where no rate is known; a
        rate of 1 is never assumed.
        """
        if self.usage_currency == self.currency:
            return None
        pair = (self.usage_currency, self.currency)
        known = [r for r in self.rates if (r.base, r.quote) == pair and r.day <= day]
        if not known:
            raise ContractError(f"no rate from {pair[0]} to {pair[1]} is known on {day}")
        return max(known, key=lambda rate: rate.day)
