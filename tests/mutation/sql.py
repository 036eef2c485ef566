"""Mutants of the gate's SQL, by hand: each is one small error that must not pass unnoticed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MIGRATIONS = Path(__file__).parents[2] / "src/tenantry/adapters/postgres/migrations"
_FUNCTION = re.compile(r"CREATE (?:OR REPLACE )?FUNCTION tenantry\.(\w+)\(.*?\n?\$\$;", re.DOTALL)


@dataclass(frozen=True)
class Mutant:
    """In `function`, the first `old` becomes `new`."""

    name: str
    function: str
    old: str
    new: str

    def statement(self) -> str:
        """What replaces the function, as the last migration that defines it left it."""
        texts = [path.read_text(encoding="utf-8") for path in sorted(MIGRATIONS.glob("*.sql"))]
        found = [m for text in texts for m in _FUNCTION.finditer(text) if m[1] == self.function]
        assert found, f"there is no function {self.function}"
        text = found[-1][0]
        assert self.old in text, f"{self.name}: {self.function} has changed; look at it again"
        replaced = text.replace(self.old, self.new, 1)
        return replaced.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)


MUTANTS = (
    Mutant(
        "a whole settlement that frees another tenant's request",
        "settle_whole", "r.tenant_id = o.tenant_id AND r.request_id", "r.request_id",
    ),
    Mutant(
        "a whole settlement though attempts are open",
        "settle_whole", "r.open_attempts = 1 AND r.state", "r.state",
    ),
    Mutant(
        "a whole settlement of what is quarantined",
        "settle_whole", "AND o.ending <> 'unknown' AND o.quarantined IS NULL", "",
    ),
    Mutant(
        "a whole settlement that charges what nobody pays",
        "settle_whole", "FROM gone WHERE pays", "FROM gone WHERE token_classes <> '{}'",
    ),
    Mutant(
        "a whole settlement that keeps its hold",
        "settle_whole", "charge, cost, -held_charge, -held_cost", "charge, cost, 0, 0",
    ),
    Mutant(
        "a hold that is doubled and not freed",
        "settle_whole", "cost, -held_charge, -held_cost", "cost, held_charge, held_cost",
    ),
    Mutant(
        "cost and charge exchanged in the balances",
        "settle_whole", "charge, cost, -held_charge", "cost, charge, -held_charge",
    ),
    Mutant(
        "a slot that stays taken", "settle_whole", "has_slot::integer, unused", "0, unused",
    ),
    Mutant(
        "waste that is booked as cost of sales",
        "settle_whole",
        "CASE WHEN charged THEN 'cost_of_sales' ELSE 'waste' END",
        "'cost_of_sales'",
    ),
    Mutant(
        "an excess without its flag",
        "excess_flags", "RETURN '{over_reserved}';", "RETURN '{}';",
    ),
    Mutant(
        "an overdraft without its flag",
        "excess_flags", "RETURN '{over_reserved,overdraft}'", "RETURN '{over_reserved}'",
    ),
    Mutant(
        "an ended attempt whose intent stays",
        "end_attempt", "IF NOT FOUND THEN", "IF false THEN",
    ),
    Mutant(
        "steps that keep the whole hold",
        "settle_steps", "-least(r.held_charge, charge), -least(r.held_cost, cost),", "0, 0,",
    ),
    Mutant(
        "steps that count what is unknown as ended",
        "settle_steps", "WHERE x.ending <> 'unknown' AND x.quarantined IS NULL;", ";",
    ),
    Mutant(
        "steps that charge waste to the budget",
        "settle_steps", " FILTER (WHERE x.charged)", "",
    ),
    Mutant(
        "a reversal for each delivery",
        "reverse_charge", "IF e.token_classes = '{}' THEN", "IF false THEN",
    ),
    Mutant(
        "a reversal that charges once more",
        "reverse_charge", "e.amount := -e.amount;", "",
    ),
    Mutant(
        "an adjustment of what was settled",
        "adjust_late", "OR e.ending = 'settled' OR", "OR",
    ),
    Mutant(
        "balances that forget what is settled",
        "apply_moves", "u.settled + m.settled", "u.settled",
    ),
    Mutant(
        "balances of every budget of the tenant",
        "apply_moves", "AND b.subject = ANY (m.subjects)", "",
    ),
    Mutant(
        "tenants that nobody locks",
        "lock_tenants", "FOR NO KEY UPDATE", "",
    ),
    Mutant(
        "an admission that reserves nothing",
        "write_admitted", "SET reserved = u.reserved + b.reserved", "SET reserved = u.reserved",
    ),
    Mutant(
        "a request id that is admitted twice",
        "admission_facts", "THEN 'duplicate'", "THEN NULL",
    ),
    Mutant(
        "a wait that ends before its slot does",
        "slots_wait_ms", "+ 11) * 6", "+ 10) * 6",
    ),
    Mutant(
        "a wait for the oldest slot, whatever it frees",
        "slots_wait_ms", "IF freed >= p_need", "IF freed >= 0",
    ),
    Mutant(
        "a call of which each attempt is charged",
        "post", "p_outcomes[i].charged := false;", "NULL;",
    ),
)  # fmt: skip
