"""Amending a contract: what is named changes, all else stays, and the result is a new version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, TypeVar, cast

from tenantry.domain import money
from tenantry.domain.agreement import Agreement, AgreementError, check_currency, check_tax
from tenantry.domain.errors import BadRequest, Conflict
from tenantry.domain.party import Party, PartyError
from tenantry.domain.tenant import Tenant
from tenantry.ports.billing import Contracts

T = TypeVar("T")
FIELDS = (
    "legal_name",
    "address",
    "tax_id",
    "email",
    "currency",
    "tax_rate",
    "tax_label",
    "tax_starts_on",
    "payment_days",
    "ends_on",
)
TRIES = 5  # of a command that others come before; each has changed the contract
_TAX = frozenset({"tax_rate", "tax_label"})


async def amend(contracts: Contracts, tenant: Tenant, changes: Mapping[str, Any]) -> Agreement:
    """`changes` by the names of `FIELDS`; texts for money and days. The first version begins with
    the tenant's name and currency. What others enter at the same moment stays. Raises
    `BadRequest`, `Conflict`."""
    assert not changes.keys() - set(FIELDS), "a field that a contract does not have"
    if "currency" in changes:
        _checked(check_currency, changes["currency"])
    for _ in range(TRIES):
        versions = await contracts.contracts(tenant.id, 1)
        agreement = _merged(_flat(versions[0]) if versions else _first(tenant), changes)
        made_from = int(versions[0]["version"]) if versions else 0
        made = await contracts.set_contract(tenant.id, agreement, made_from=made_from)
        if made is not None:
            return made
    raise Conflict("The contract is changed by others all the time; nothing of this was entered.")


def _merged(present: Mapping[str, Any], changes: Mapping[str, Any]) -> Agreement:
    agreement = agreement_from({**present, **changes})
    if changes.keys() & _TAX:  # what is stored was entered, and can differ
        _checked(check_tax, agreement)
        if agreement.tax_starts_on is not None and "tax_starts_on" not in changes:
            raise BadRequest(
                f"The tax of now starts on {agreement.tax_starts_on}: name tax_starts_on too, that"
                " day or another one, or none for all that is invoiced from now on."
            )
    return agreement


def agreement_from(fields: Mapping[str, Any]) -> Agreement:
    """Raises `BadRequest` that names the field."""
    try:
        tax_rate = money.amount_from(fields["tax_rate"])
    except ValueError as wrong:
        raise BadRequest(f"tax_rate: {wrong}.") from None
    try:
        return Agreement(
            Party(
                fields["legal_name"], tuple(fields["address"]), fields["tax_id"], fields["email"]
            ),
            fields["currency"],
            tax_rate,
            fields["tax_label"],
            fields["payment_days"],
            _day_of(fields, "ends_on"),
            tax_starts_on=_day_of(fields, "tax_starts_on"),
        )
    except (AgreementError, PartyError) as problem:
        raise BadRequest(f"{problem}.") from None


def _day_of(fields: Mapping[str, Any], name: str) -> date | None:
    try:
        return None if fields[name] is None else date.fromisoformat(fields[name])
    except ValueError:
        raise BadRequest(f"{name} must be a civil day such as 2026-12-31.") from None


def _checked(check: Callable[[T], None], value: T) -> None:
    try:
        check(value)
    except AgreementError as problem:
        raise BadRequest(f"{problem}.") from None


def _first(tenant: Tenant) -> dict[str, Any]:
    return {
        "legal_name": tenant.name,
        "address": [],
        "tax_id": None,
        "email": None,
        "currency": tenant.invoice_currency,
        "tax_rate": "0",
        "tax_label": "Tax",
        "tax_starts_on": None,
        "payment_days": 30,
        "ends_on": None,
    }


def _flat(version: Mapping[str, Any]) -> dict[str, Any]:
    customer = cast(Mapping[str, Any], version["customer"])
    flat = {name: version[name] for name in FIELDS if name in version}
    return {**flat, **{k: v for k, v in customer.items() if k != "name"},
            "legal_name": customer["name"]}  # fmt: skip
