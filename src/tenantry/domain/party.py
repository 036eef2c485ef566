"""Who stands on an invoice: the issuer, out of a TOML file, and the customer, out of its contract.

name = "Example GmbH"
address = ["Musterstrasse 1", "10115 Berlin", "Germany"]
tax_id = "DE123456789"
email = "billing@example.com"
payment = ["IBAN DE02 1203 0000 0000 2020 51", "BIC BYLADEM1001"]   # the issuer's alone
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenantry.domain.printable import is_name, printable, spelt

LINES_MAX = 8  # of an address or of payment details
LINE_CHARS_MAX = 200
_ISSUER_FIELDS = frozenset({"name", "address", "tax_id", "email", "payment"})


class PartyError(ValueError):
    """A name, an address or a number that cannot stand on an invoice; the message says which."""


@dataclass(frozen=True, slots=True)
class Party:
    name: str
    address: tuple[str, ...] = ()
    tax_id: str | None = None
    email: str | None = None

    def __post_init__(self) -> None:
        _check_text("name", self.name)
        _check_lines("address", self.address)
        for name, value in (("tax_id", self.tax_id), ("email", self.email)):
            if value is not None:
                _check_text(name, value)
        if self.email is not None and ("@" not in self.email[1:-1] or " " in self.email):
            raise PartyError("email is not an e-mail address")


@dataclass(frozen=True, slots=True)
class Issuer:
    party: Party
    payment: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_lines("payment", self.payment)


def issuer_from_toml(text: str) -> Issuer:
    """Raises `PartyError`, also for an issuer without an address: no finance department pays it."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PartyError(f"not TOML: {error}") from None
    return issuer_from(table)


def issuer_from(table: Mapping[str, Any]) -> Issuer:
    unknown = table.keys() - _ISSUER_FIELDS
    if unknown:
        raise PartyError(f"unknown field {sorted(unknown)[0]}")
    party = Party(
        table.get("name", ""),
        lines_of("address", table.get("address", [])),
        table.get("tax_id"),
        table.get("email"),
    )
    if not party.address:
        raise PartyError("address has no lines")
    return Issuer(party, lines_of("payment", table.get("payment", [])))


def lines_of(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise PartyError(f"{name} must be a list of lines")
    return tuple(value)


def party_to_json(party: Party) -> dict[str, Any]:
    return {
        "name": party.name,
        "address": list(party.address),
        "tax_id": party.tax_id,
        "email": party.email,
    }


def name_as_stored(name: str) -> str:
    """A name from the time when names were not checked, as it can stand on an invoice."""
    shown = name
    for _ in range(2):  # what is spelt may be longer than the text was
        shown = printable(shown, LINE_CHARS_MAX)
    if is_name(shown, LINE_CHARS_MAX):
        return shown
    return printable("".join(map(spelt, name)), LINE_CHARS_MAX)  # it has no picture at all


def issuer_to_json(issuer: Issuer) -> dict[str, Any]:
    return {**party_to_json(issuer.party), "payment": list(issuer.payment)}


def _check_lines(name: str, lines: tuple[object, ...]) -> None:
    if len(lines) > LINES_MAX:
        raise PartyError(f"{name} has more than {LINES_MAX} lines")
    for line in lines:
        _check_text(f"a line of {name}", line)


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise PartyError(f"{name} is missing")
    if not is_name(value, LINE_CHARS_MAX):
        raise PartyError(f"{name} must be at most {LINE_CHARS_MAX} printable characters")
