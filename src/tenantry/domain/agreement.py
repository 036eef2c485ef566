"""What a contract says beside its terms: who pays, in which currency, at which tax, by when.

Versions are never edited: what is entered next holds for the documents that are finalised from
then on. Zone and anchor day are the tenant's and never change; the currency may change until the
first invoice is final.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from tenantry.domain import money
from tenantry.domain.currency import is_currency
from tenantry.domain.party import Party, party_to_json

PAYMENT_DAYS_MAX = 365
TAX_DIGITS_MAX = 6  # of a fraction: 8.875 % has five
_PERCENT = re.compile(r"([0-9]+(?:[.,][0-9]+)?)\s*[%\uff05\u066a]")
_CURRENCY = re.compile(r"[A-Z]{3}")
_NO_CURRENCY = "currency must be an ISO 4217 code such as USD"


class AgreementError(ValueError):
    """A contract that cannot be; the message names the field."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One version. `tax_rate` is a fraction: 8.25 % is 0.0825."""

    customer: Party
    currency: str = "USD"
    tax_rate: Decimal = money.ZERO
    tax_label: str = "Tax"
    payment_days: int = 30
    ends_on: date | None = None  # the first civil day that is no longer under contract
    version: int = 0  # 0: none was entered
    tax_starts_on: date | None = None  # of periods that end before it the tax is an earlier one's

    def __post_init__(self) -> None:
        # What is stored was entered, and need not be of today's list.
        if not _CURRENCY.fullmatch(self.currency):
            raise AgreementError(_NO_CURRENCY)
        rate = self.tax_rate
        if not (rate.is_finite() and 0 <= rate < 1):
            raise AgreementError("tax_rate is a fraction from 0 to less than 1")
        exponent = rate.as_tuple().exponent
        if not isinstance(exponent, int) or exponent < -TAX_DIGITS_MAX:
            raise AgreementError(f"tax_rate has more than {TAX_DIGITS_MAX} digits")
        if not 0 <= self.payment_days <= PAYMENT_DAYS_MAX:
            raise AgreementError(f"payment_days must be 0 to {PAYMENT_DAYS_MAX}")
        label = self.tax_label
        if not label.strip() or len(label) > 40 or not label.isprintable():
            raise AgreementError("tax_label must be 1 to 40 printable characters")

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "customer": party_to_json(self.customer),
            "currency": self.currency,
            "tax_rate": money.plain(self.tax_rate),
            "tax_label": self.tax_label,
            "tax_starts_on": None if self.tax_starts_on is None else self.tax_starts_on.isoformat(),
            "payment_days": self.payment_days,
            "ends_on": None if self.ends_on is None else self.ends_on.isoformat(),
        }


def percent_in(label: str) -> Decimal | None:
    """What the percentages in a tax label come to, `8.25` of `Sales tax 8.25 %`; None: it has
    none."""
    found = [Decimal(figure.replace(",", ".")) for figure in _PERCENT.findall(label)]
    return money.total(found) if found else None


def check_tax(agreement: Agreement) -> None:
    """Of what is entered: a label says no other rate than that. Raises `AgreementError`."""
    named, rate = percent_in(agreement.tax_label), money.shifted(agreement.tax_rate, 2)
    if named is not None and named != rate:
        raise AgreementError(
            f"tax_label says {money.plain(named)} %, and tax_rate is {money.plain(rate)} %: leave"
            " the percentage out of the label, for the rate stands beside it"
        )


def check_currency(currency: str) -> None:
    """Of what is entered. Raises `AgreementError`."""
    if not is_currency(currency):
        raise AgreementError(_NO_CURRENCY)
