"""When an invoice at Stripe is to be paid: as its document says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

Collection = Literal["charge_automatically", "send_invoice"]
# Stripe takes no due date that has passed by its clock (docs.stripe.com/api/invoices, 2026-11). One
# as near as this may have passed there, or does before the invoice is finalised.
NEAR: Final = timedelta(hours=1)
AT_ONCE_DAYS: Final = 1  # what is due already


class BadDueDate(ValueError):
    """The document's due date is no instant."""


@dataclass(frozen=True, slots=True)
class Terms:
    """`days_due` is for a document that has no due date. What Stripe charges by itself has none."""

    collection: Collection
    days_due: int

    def of_new(self, document: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Parameters of an invoice that is made now. Raises `BadDueDate`.

        The same at each attempt, but where the due date passes between two.
        """
        found: dict[str, Any] = {"collection_method": self.collection}
        if self.collection != "send_invoice":
            return found
        due = due_at(document)
        if due is None:
            return found | {"days_until_due": self.days_due}
        if due <= now + NEAR:
            return found | {"days_until_due": AT_ONCE_DAYS}
        return found | {"due_date": int(due.timestamp())}

    def of_draft(
        self, document: Mapping[str, Any], due_date: int | None, now: datetime
    ) -> dict[str, Any]:
        """What is to change in a draft that an earlier attempt left with `due_date`, in seconds
        since 1970; empty: nothing. Raises `BadDueDate`.
        """
        due = due_at(document) if self.collection == "send_invoice" else None
        if due is None:
            return {}
        if due > now + NEAR:
            wanted = int(due.timestamp())
            return {} if due_date == wanted else {"due_date": wanted}
        soon = now + timedelta(days=AT_ONCE_DAYS)
        if due_date is not None and now + NEAR < datetime.fromtimestamp(due_date, UTC) <= soon:
            return {}
        return {"due_date": int(soon.timestamp())}


def due_at(document: Mapping[str, Any]) -> datetime | None:
    """None where it has no due date. Raises `BadDueDate`."""
    text = document.get("due_at")
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError("no zone")
        found.timestamp()
    except (TypeError, ValueError, OverflowError):
        raise BadDueDate("its due date is no instant") from None
    return found
