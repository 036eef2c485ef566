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
    `TAXED_BY_PERIOD`, of no migration: adjustments have the tax of their own period, and say so
    where it is another than the contract's.
    `CHANGES_TOLD`: lines of prices that changed twice on a day say at what time, and stand in its
    order; a fee goes from plan to plan also where both ask the same; `edition` is a member.
    `STANDING_TOLD`: what a price was asked for, and which price editions there are, goes by what
    stands, not by what was posted at a price and taken back from it.
    `NOTHING_UNTAXED`: a tax of which all lines are 0, and that is not the contract's, has no part.
    `STEPS_TOLD`: late tokens say their price where one step priced all of them.
    """

    FIRST = 1
    PRICES_TOLD = 2
    PERIODS_TOLD = 3
    TAXED_BY_PERIOD = 4
    CHANGES_TOLD = 5
    STANDING_TOLD = 6
    NOTHING_UNTAXED = 7
    STEPS_TOLD = 8


PRESENT: Final = Edition.STEPS_TOLD


def edition_of(body: Mapping[str, Any]) -> Edition:
    """Of a document's JSON. Of those that do not say it, one without a line of a model reads alike
    in the first two, and one without a line of another tax in the last two."""
    if body.get("edition") in list(Edition):
        return Edition(body["edition"])
    if "issue_zone" in body:
        told = any("tax" in line for line in body["lines"])
        return Edition.TAXED_BY_PERIOD if told else Edition.PERIODS_TOLD
    if any("price_keys" in line for line in body["lines"]):
        return Edition.PRICES_TOLD
    return Edition.FIRST
