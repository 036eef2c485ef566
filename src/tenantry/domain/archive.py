"""Archived months of the ledger: what lies in the files, and what stands for them in the books.

Canonical JSON is what is hashed and signed: keys in order, no spaces, amounts as plain decimals.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from tenantry.domain import money
from tenantry.domain.errors import Conflict

Book = Literal["charge", "cost"]
Kind = Literal[
    "text", "integer", "boolean", "instant", "day", "decimal", "texts", "integers", "decimals"
]
BOOKS: tuple[Book, ...] = ("charge", "cost")
VERSION = 1

# The columns of both books as they lie in the files; jsonb and uuid are text there.
_OF_BOTH: Mapping[str, Kind] = {
    "tenant_id": "text",
    "admitted_at": "instant",
    "request_id": "text",
    "call": "integer",
    "attempt": "integer",
    "kind": "text",
    "debit": "text",
    "credit": "text",
    "amount": "decimal",
    "currency": "text",
    "token_classes": "texts",
    "quantities": "integers",
    "unit_prices": "decimals",
    "amounts": "decimals",
    "posted_at": "instant",
    "day": "day",
    "period_start": "instant",
    "price_version": "integer",
    "plan": "text",
    "plan_version": "integer",
    "model": "text",
    "api_key_id": "text",
    "user_hash": "text",
    "run_id": "text",
    "tags": "text",
    "flags": "texts",
}
COLUMNS: Mapping[Book, Mapping[str, Kind]] = {
    "charge": _OF_BOTH,
    "cost": {
        **{name: kind for name, kind in _OF_BOTH.items() if name != "currency"},
        "account": "text",
        "region": "text",
        "service_tier": "text",
        "ending": "text",
        "charged": "boolean",
        "began_at": "instant",
        "operation": "text",
        "price_key": "text",
        "upstream_request_id": "text",
        "tokens": "integer",
        "raw": "text",
        "normaliser_version": "integer",
        "error": "text",
    },
}


class ArchiveBroken(ValueError):
    """An archive is not what was signed; the message says where it differs."""


def refuse_archived(start: datetime, archived_through: datetime | None, instead: str) -> None:
    """Raises `Conflict` where what begins at an instant would need rows that lie in the archive.

    `instead`: what can be done about it.
    """
    if archived_through is None or start >= archived_through:
        return
    last = archived_through - timedelta(days=1)
    raise Conflict(
        f"{last:%Y-%m} and what came before it is archived and has no rows any more: {instead}, and"
        f" ask from {archived_through:%Y-%m-%d} on."
    )


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    book: Book
    name: str
    rows: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, order=True)
class BookSum:
    """What one tenant's month came to in one book and currency."""

    tenant_id: str
    book: Book
    currency: str
    entries: int
    amount: Decimal
    quantities: Mapping[str, int] = field(compare=False)
    accounts: Mapping[str, str] = field(compare=False)  # both legs, as plain decimals

    def to_json(self) -> dict[str, Any]:
        return {
            "tenant_id": self.tenant_id,
            "book": self.book,
            "currency": self.currency,
            "entries": self.entries,
            "amount": money.plain(self.amount),
            "quantities": dict(self.quantities),
            "accounts": dict(self.accounts),
        }


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a month's files hold. `sums` are in order of tenant, book and currency."""

    month: date
    files: Sequence[ArchivedFile]
    sums: Sequence[BookSum]

    def canonical(self) -> bytes:
        return canonical(
            {
                "version": VERSION,
                "month": f"{self.month:%Y-%m}",
                "files": [
                    {
                        "book": each.book,
                        "name": each.name,
                        "rows": each.rows,
                        "size_bytes": each.size_bytes,
                        "sha256": each.sha256,
                    }
                    for each in self.files
                ],
                "sums": [each.to_json() for each in self.sums],
            }
        )

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.canonical()).digest()


def manifest_from(content: bytes) -> Manifest:
    """Raises `ArchiveBroken`."""
    try:
        told = json.loads(content)
        manifest = Manifest(
            date.fromisoformat(f"{told['month']}-01"),
            tuple(ArchivedFile(**each) for each in told["files"]),
            tuple(BookSum(**{**each, "amount": Decimal(each["amount"])}) for each in told["sums"]),
        )
        same = manifest.canonical() == content
    except (ValueError, KeyError, TypeError, ArithmeticError):
        same = False
    if not same:
        raise ArchiveBroken("The manifest is not one of this version.")
    return manifest


def carried(total: BookSum, month: date, manifest_sha256: bytes) -> bytes:
    """The canonical content of the entry that stands for a tenant's month in a book."""
    return canonical(
        {
            "version": VERSION,
            "month": f"{month:%Y-%m}",
            **total.to_json(),
            "manifest_sha256": manifest_sha256.hex(),
        }
    )


def canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


@dataclass(slots=True)
class _Sum:
    entries: int = 0
    amount: Decimal = money.ZERO
    quantities: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, Decimal] = field(default_factory=dict)

    def post(self, account: str, amount: Decimal) -> None:
        self.accounts[account] = money.total((self.accounts.get(account, money.ZERO), amount))


class Tally:
    """Adds up rows of the files as they are read, exactly."""

    def __init__(self) -> None:
        self.rows = 0
        self._sums: dict[tuple[str, Book, str], _Sum] = {}

    def add(self, book: Book, row: Mapping[str, Any]) -> None:
        """Raises `ArchiveBroken` where a row's lines are not its amount."""
        amount = Decimal(row["amount"])
        if money.total(map(Decimal, row["amounts"])) != amount:
            raise ArchiveBroken(f"{row['request_id']}: lines and amount differ.")
        found = self._sums.setdefault((row["tenant_id"], book, row.get("currency", "USD")), _Sum())
        self.rows += 1
        found.entries += 1
        found.amount = money.total((found.amount, amount))
        found.post(row["debit"], amount)
        found.post(row["credit"], money.minus(amount))
        for name, quantity in zip(row["token_classes"], row["quantities"], strict=True):
            found.quantities[name] = found.quantities.get(name, 0) + quantity

    def sums(self) -> list[BookSum]:
        return sorted(
            BookSum(
                *key,
                each.entries,
                each.amount,
                each.quantities,
                {name: money.plain(amount) for name, amount in each.accounts.items()},
            )
            for key, each in self._sums.items()
        )


def compare(found: Sequence[BookSum], told: Sequence[BookSum], what: str) -> None:
    """Raises `ArchiveBroken`, which says of whom, where `what` was read is not as the manifest
    tells."""
    ours, theirs = ({_key(each): each for each in sums} for sums in (found, told))
    for key in sorted(ours.keys() | theirs.keys()):
        if key not in ours or key not in theirs:
            trouble = "are missing" if key not in ours else "are not in the manifest"
            raise ArchiveBroken(f"{what} {trouble}: {' '.join(key)}.")
        if ours[key].to_json() != theirs[key].to_json():
            raise ArchiveBroken(f"{what} and the manifest differ: {' '.join(key)}.")


def _key(each: BookSum) -> tuple[str, str, str]:
    return each.tenant_id, each.book, each.currency
