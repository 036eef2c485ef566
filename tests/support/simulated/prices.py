"""The auditor's reading of prices, plans and usage: which holds when, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.support.simulated.facts import EditionFacts, PlanFacts, Prices

Usage = Mapping[str, int]  # token class → count, none of them 0
PROMPT = ("uncached_in", "cache_read", "cache_write_5m", "cache_write_1h", "embedding")
# A decision reads what holds some milliseconds after the instant that it is dated by.
DECIDING = timedelta(milliseconds=250)


def usage_of(
    bill: Mapping[str, Any], log: Mapping[str, Any] | None, writes: str, *, embeds: bool
) -> Usage:
    """What an attempt used: by the bill, or by the log, whose cache writes are of no class."""
    counted = "embedding" if embeds else "uncached_in"
    if log is None:
        billed = bill["usage"]
        classes = {
            counted: billed["input"],
            "out": billed["output"],
            "cache_read": billed["cache_read"],
            "cache_write_5m": billed["cache_write_5m"],
            "cache_write_1h": billed["cache_write_1h"],
        }
    else:
        given, made = log["input"], log.get("output", {})
        classes = {
            counted: given["inputTokenCount"],
            "out": made.get("outputTokenCount", 0),
            "cache_read": given.get("cacheReadInputTokenCount", 0),
            writes: given.get("cacheWriteInputTokenCount", 0),
        }
    return {name: count for name, count in classes.items() if count}


def price(prices: Prices, model: str, tier: str, name: str, usage: Usage) -> Fraction:
    """USD for 1,000,000 of a class: the step with the highest floor that the prompt is over."""
    prompt = sum(usage.get(part, 0) for part in PROMPT)
    steps = sorted({over for m, t, over, _ in prices if (m, t) == (model, tier)})
    over = max(step for step in steps if step == 0 or prompt > step)
    return Fraction(prices[model, tier, over, name])


def edition_in_force(editions: Sequence[EditionFacts], at: datetime) -> set[int]:
    """The versions that may be in force: more than one while an import was under way."""

    def latest(known: Iterable[EditionFacts]) -> int:
        begun = [edition for edition in known if edition.effective_from <= at]
        return max(begun, key=lambda edition: (edition.effective_from, edition.version)).version

    known = [edition for edition in editions if edition.by <= at]
    maybe = [e for e in editions if e not in known and e.after <= at + DECIDING]
    return {latest(known), latest([*known, *maybe])} | {latest([*known, one]) for one in maybe}


def plan_in_force(plans: Sequence[PlanFacts], name: str, at: datetime) -> set[int]:
    """As `edition_in_force`, of the versions of one plan."""
    versions = [plan for plan in plans if plan.name == name]
    known = max(plan.version for plan in versions if plan.by <= at)
    maybe = [plan.version for plan in versions if plan.after <= at + DECIDING and plan.by > at]
    return {known, *maybe}
