"""How invoices were made, by edition: a document stays what it is, and is made again as it was.

A change of what an invoice says, or of how it counts, is a further edition; nothing of an earlier
one changes with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final


class Edition(IntEnum):
    """Each has what the one before it has.

    `PRICES_TOLD`, of migration 0045: lines of a model say what their price was asked for.
    `PERIODS_TOLD`, of migration 0050: fees and adjustments name their days, adjustments their
    reason and rate; a total below zero goes to the prepaid credit; number, date and the days until
    it is due are of one zone, `issue_zone`; of several plans on a day there is the last.
    """

    FIRST = 1
    PRICES_TOLD = 2
    PERIODS_TOLD = 3


PRESENT: Final = Edition.PERIODS_TOLD


def edition_of(body: Mapping[str, Any]) -> Edition:
    """Of a document's JSON. One without a line of a model reads alike in the first two."""
    if "issue_zone" in body:
        return Edition.PERIODS_TOLD
    if any("price_keys" in line for line in body["lines"]):
        return Edition.PRICES_TOLD
    return Edition.FIRST
