"""Which tax holds from which day on, by what a contract's versions say of it.

A tax takes, from its day on, the place of all that was entered before it. Where the same rate and
label are entered once more with another day, it is one tax that is moved there; one that has held
for all periods from the first on stays, for there is none before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tenantry.domain import money
from tenantry.domain.tax import NO_TAX, TaxRate


@dataclass(frozen=True, slots=True)
class TaxStep:
    tax: TaxRate
    starts_on: date | None  # None: without a beginning
    moves: bool = True  # the same tax, if that was entered right before

    def to_json(self) -> dict[str, Any]:
        return {
            "starts_on": None if self.starts_on is None else self.starts_on.isoformat(),
            "rate": money.plain(self.tax.rate),
            "label": self.tax.label,
        }


def tax_schedule(entered: Iterable[TaxStep]) -> tuple[TaxStep, ...]:
    """By day, the first without a beginning; nothing where nothing was entered. `entered`: of each
    version, in their order."""
    steps: list[TaxStep] = []
    for step in _moved(entered):
        steps = [each for each in steps if _is_before(each, step)]
        if not steps or steps[-1].tax != step.tax:
            steps.append(step)
    if steps and steps[0].starts_on is not None:
        steps.insert(0, TaxStep(NO_TAX, None))
    return tuple(steps)


def tax_before(schedule: Sequence[TaxStep], day: date) -> TaxRate:
    """That of the day before `day`. `schedule`: one with a step at least."""
    return [each.tax for each in schedule if each.starts_on is None or each.starts_on < day][-1]


def _moved(entered: Iterable[TaxStep]) -> list[TaxStep]:
    """The last of those in a row that are of one tax."""
    found: list[TaxStep] = []
    for step in entered:
        while step.moves and found and found[-1].tax == step.tax and not _is_first(found):
            found.pop()
        found.append(step)
    return found


def _is_first(found: Sequence[TaxStep]) -> bool:
    return len(found) == 1 and found[0].starts_on is None


def _is_before(step: TaxStep, other: TaxStep) -> bool:
    if other.starts_on is None:
        return False
    return step.starts_on is None or step.starts_on < other.starts_on
