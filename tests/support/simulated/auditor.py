"""Recomputes all that a run should have come to, and compares it with the ledger to the last digit.

It shares no code with tenantry: fractions for its arithmetic, zoneinfo for its calendar, and for
what was used the emulator's bill, or its invocation log where the ledger says that it settled
from that. What it expects:

- each attempt that the emulator billed has its cost, once, at the edition in force at admission;
- a call is charged for at most one attempt, and exactly for the one whose answer was given;
- everything is its own tenant's, of the day and period of its admission, and nothing is open;
- budgets have settled what their attempts cost, and never passed what usage within its
  reservation allows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.support.simulated import calendar
from tests.support.simulated.facts import AttemptId, Facts, Sending
from tests.support.simulated.prices import Usage, edition_in_force, plan_in_force, price, usage_of

SLACK = timedelta(milliseconds=500)  # between clocks read in two processes of one machine
# Told before anything was reserved: nothing may be left of it.
NEVER_RAN = frozenset(
    {
        "bad_request", "budget_exceeded", "rate_limited", "concurrency_limited",
        "quota_exceeded", "larger_than_limit", "idempotency_in_flight", "result_not_kept",
        "forbidden", "model_unpriced",
    }
)  # fmt: skip
# Faults after which an attempt has an answer nonetheless, at the latest when it is made again.
HARMLESS = frozenset({None, "throttle", "slow_tokens", "slow_first_token", "usage"})


@dataclass(frozen=True)
class Ledger:
    """The tables as they stand."""

    costs: Sequence[Any]
    charges: Sequence[Any]
    budgets: Sequence[Any]
    counters: Sequence[Any]
    open_requests: int


async def read_ledger(connection: Any) -> Ledger:
    """As a role that may read everything."""
    return Ledger(
        await connection.fetch("SELECT * FROM tenantry.cost_entry"),
        await connection.fetch("SELECT * FROM tenantry.charge_entry"),
        await connection.fetch("SELECT * FROM tenantry.budget_use"),
        await connection.fetch("SELECT * FROM tenantry.counter"),
        await connection.fetchval("SELECT count(*) FROM tenantry.open_request"),
    )


def audit(facts: Facts, ledger: Ledger) -> list[str]:
    """Every difference, in words; none where the books are right."""
    return list(_Audit(facts, ledger).differences())


class _Audit:
    def __init__(self, facts: Facts, ledger: Ledger) -> None:
        self.facts, self.ledger = facts, ledger
        self.sent = {sending.request_id: sending for sending in facts.sendings}
        self.billed: dict[AttemptId, dict[str, Any]] = {}
        self.logged: dict[AttemptId, dict[str, Any]] = {}
        self.costs: dict[AttemptId, list[Any]] = defaultdict(list)
        self.charges: dict[AttemptId, list[Any]] = defaultdict(list)
        self.cost_of: dict[AttemptId, Fraction] = {}  # as expected
        self.charge_of: dict[AttemptId, Fraction] = {}  # where it is charged

    def differences(self) -> Iterator[str]:
        yield from self._gather()
        for attempt in sorted(self.billed.keys() | self.costs.keys() | self.charges.keys()):
            for what in self._attempt(attempt):
                yield f"{_name(attempt)}: {what}"
        for sending in self.facts.sendings:
            for what in self._told(sending):
                yield f"call {sending.number} ({sending.request_id}): {what}"
        yield from self._repetitions()
        yield from self._budgets()
        yield from self._peaks()
        yield from self._leftovers()

    def _gather(self) -> Iterator[str]:
        for record in self.facts.billed:
            metadata = record["request_metadata"]
            attempt = _attempt_of(metadata)
            if attempt in self.billed:
                yield f"{_name(attempt)}: the emulator billed it twice"
            self.billed[attempt] = record
            sending = self.sent.get(attempt[0])
            if sending is None or metadata["tid"] != sending.tenant.id:
                yield f"{_name(attempt)}: billed to {metadata['tid']}, whose request it is not"
        for record in self.facts.logged:
            if "requestMetadata" in record:
                self.logged[_attempt_of(record["requestMetadata"])] = record
        for rows, found in ((self.ledger.costs, self.costs), (self.ledger.charges, self.charges)):
            for row in rows:
                found[str(row["request_id"]), row["call"], row["attempt"]].append(row)

    # -- one attempt ------------------------------------------------------------------------

    def _attempt(self, attempt: AttemptId) -> Iterator[str]:
        costs, charges = self.costs[attempt], self.charges[attempt]
        sending = self.sent.get(attempt[0])
        if sending is None:
            yield "no client asked for it"
            return
        ends = [row for row in costs if row["kind"] == "usage"]
        if len(ends) != 1:
            yield f"ended {len(ends)} times"
            return
        for row in (*costs, *charges):
            yield from self._belongs(row, sending)
        if len({row["admitted_at"] for row in (*costs, *charges)}) != 1:
            yield "its rows were admitted at several instants"
        postings = [row for row in costs if row["token_classes"]]
        bill = self.billed.get(attempt)
        if bill is None:
            if any(row["amount"] or row["token_classes"] for row in (*costs, *charges)):
                yield "is posted and was never billed"
            return
        if len(postings) != 1:
            how = f"{ends[0]['ending']} at {ends[0]['posted_at']}, {ends[0]['error']}"
            at = f"billed at {bill['timestamp']}, {bill['error_code']}"
            yield f"was {at}, {bill['usage']}, and is posted {len(postings)} times ({how})"
            return
        yield from self._priced(attempt, sending, bill, postings[0])
        if attempt in self.cost_of:
            yield from self._charged(attempt, postings[0], charges)

    def _belongs(self, row: Any, sending: Sending) -> Iterator[str]:
        """Whose it is, and when it was."""
        tenant, at = sending.tenant, row["admitted_at"]
        expected = {
            "tenant_id": tenant.id,
            "api_key_id": sending.api_key,
            "user_hash": tenant.users[sending.user] if sending.user else None,
            "run_id": sending.run,
            "model": sending.model,
            "plan": tenant.plan,
            "day": calendar.day_of(at, tenant.zone),
            "period_start": calendar.period_start(at, tenant.zone, tenant.anchor_day),
        }
        if "currency" in row.keys():  # noqa: SIM118 - a record's `in` looks at values
            expected["currency"] = "USD"  # of list charges, whatever a contract's is
        else:
            expected["account"] = tenant.account
        for name, value in expected.items():
            if row[name] != value:
                yield f"{name} is {row[name]}, not {value}"
        if _decoded(row["tags"]) != dict(sending.tags):
            yield f"tags are {row['tags']}, not {sending.tags}"
        assert self.facts.ended_at is not None
        if not sending.sent_at - SLACK <= at <= self.facts.ended_at + SLACK:
            yield f"was admitted at {at}, outside of the run"
        if row["price_version"] not in edition_in_force(self.facts.editions, at):
            yield f"edition {row['price_version']} was not in force at {at}"
        if row["plan_version"] not in plan_in_force(self.facts.plans, tenant.plan, at):
            yield f"version {row['plan_version']} of {tenant.plan} was not in force at {at}"

    def _priced(
        self, attempt: AttemptId, sending: Sending, bill: Mapping[str, Any], row: Any
    ) -> Iterator[str]:
        from_log = "trued_up" in row["flags"]
        if from_log and attempt not in self.logged:
            yield "is settled from a log that has no record of it"
            return
        tier = sending.tier if from_log else bill["service_tier"] or "default"
        log = self.logged.get(attempt) if from_log else None
        usage = usage_of(bill, log, sending.writes, embeds=sending.embeds)
        prices = self._prices(row["price_version"])
        if prices is None:
            return  # that its edition was not in force, `_belongs` says
        units = {name: price(prices, sending.model, tier, name, usage) for name in usage}
        yield from _lines(row, usage, units, "unit cost")
        self.cost_of[attempt] = sum((usage[n] * units[n] / 10**6 for n in usage), Fraction())
        if Fraction(row["amount"]) != self.cost_of[attempt]:
            yield f"costs {row['amount']}, not {float(self.cost_of[attempt])}"
        if row["service_tier"] != tier:
            yield f"tier is {row['service_tier']}, not {tier}"
        if row["upstream_request_id"] != bill["request_id"]:
            yield f"is {row['upstream_request_id']} of the provider, not {bill['request_id']}"
        if row["region"] != bill["region"]:
            yield f"ran in {bill['region']}, not in {row['region']}"

    def _charged(self, attempt: AttemptId, row: Any, charges: Sequence[Any]) -> Iterator[str]:
        """The customer's book says of an attempt what its lines cost times the plan's markups."""
        net = sum((Fraction(charge["amount"]) for charge in charges), Fraction())
        paid = [charge for charge in charges if charge["kind"] != "reversal"]
        if row["charged"] != bool(paid):
            yield f"is charged: {row['charged']}; the customer's book: {len(paid)} rows"
        debit = "cost_of_sales" if row["charged"] else "waste"
        if row["debit"] != debit:
            yield f"is booked as {row['debit']}, not as {debit}"
        if not paid:
            return
        if len(paid) != 1 or len(charges) > 2:
            yield f"has {len(charges)} rows in the customer's book"
            return
        markups = self._markups(paid[0]["plan"], paid[0]["plan_version"])
        if markups is None:
            return
        usage = dict(zip(row["token_classes"], row["quantities"], strict=True))
        units = dict(zip(row["token_classes"], map(Fraction, row["unit_prices"]), strict=True))
        lines = {name: unit * markups(name) for name, unit in units.items()}
        yield from _lines(paid[0], usage, lines, "unit price")
        expected = sum((lines[name] * usage[name] / 10**6 for name in usage), Fraction())
        if Fraction(paid[0]["amount"]) != expected:
            yield f"is charged {paid[0]['amount']}, not {float(expected)}"
        if self.billed[attempt]["error_code"] is not None:
            yield "failed upstream, and is charged"
        if len(charges) == 1:
            self.charge_of[attempt] = expected
        elif net != 0:
            yield f"is reversed, and {net} stays"

    # -- what was told ----------------------------------------------------------------------

    def _told(self, sending: Sending) -> Iterator[str]:
        ours = {a for a in self.billed.keys() | self.costs.keys() if a[0] == sending.request_id}
        if sending.told == "broken":
            yield f"broke: {sending.code}"
        elif sending.code in NEVER_RAN or sending.replayed:
            if ours:
                yield f"was refused or replayed ({sending.code}) and left {sorted(ours)}"
            return
        calls: dict[int, list[AttemptId]] = defaultdict(list)
        for attempt in ours:
            calls[attempt[1]].append(attempt)
        total = Fraction()
        for attempts in calls.values():
            paid = [attempt for attempt in attempts if attempt in self.charge_of]
            total += sum((self.charge_of[attempt] for attempt in paid), Fraction())
            yield from self._paid(sending, sorted(attempts), paid)
        if sending.told == "ok":
            if not calls:
                yield "was answered and is nowhere in the books"
            elif sending.charge is not None and Fraction(sending.charge) != total:
                yield f"was told {sending.charge} and charged {float(total)}"

    def _paid(
        self, sending: Sending, attempts: list[AttemptId], paid: list[AttemptId]
    ) -> Iterator[str]:
        """How many attempts of a call its customer pays for, and which."""
        billed = [attempt for attempt in attempts if attempt in self.billed]
        if len(paid) > 1:
            yield f"pays for {len(paid)} attempts"
        elif sending.told == "ok":
            if paid != attempts[-1:] and (paid or not sending.unreadable):
                yield f"was answered by {attempts[-1:]} and pays for {paid}"
        elif sending.told == "left" and not sending.worker_died:
            # Where two were billed, both may have timed out on a slow machine.
            if len(billed) == 1 and not paid and not self.facts.outages:
                yield f"left, was billed, and pays nothing ({sending.fault})"
        elif sending.told is None or sending.worker_died:
            late = self.facts.late.intersection(billed)
            surely = sending.fault in HARMLESS and len(billed) == 1 and not late
            if surely and not self.facts.outages and sending.told is None and not paid:
                yield "lost its worker, was billed, and pays nothing"
        elif paid and not sending.embeds:
            yield f"was told {sending.code} and pays for {paid}"

    def _repetitions(self) -> Iterator[str]:
        """Of the sendings of one idempotency key, one runs; the others are told its answer."""
        runs: dict[int, set[str]] = defaultdict(set)
        for sending in self.facts.sendings:
            if not sending.repeated:
                continue
            if any(row[0] == sending.request_id for row in self.billed):
                runs[sending.number].add(sending.request_id)
        for number, ran in runs.items():
            if len(ran) > 1 and not self.facts.outages:  # which may forget keys that SDKs imply
                yield f"call {number} ran {len(ran)} times under one idempotency key"
        told = {s.request_id: s.charge for s in self.facts.sendings}
        for sending in self.facts.sendings:
            if sending.replayed and sending.told == "ok":
                assert sending.answered_by is not None
                by = told.get(sending.answered_by)
                if by is not None and by != sending.charge:
                    yield f"call {sending.number} was replayed with another charge"

    # -- budgets and counters ---------------------------------------------------------------

    def _budgets(self) -> Iterator[str]:
        for row in self.ledger.budgets:
            amounts = self.charge_of if row["basis"] == "charge" else self.cost_of
            settled = Fraction()
            for attempt, amount in amounts.items():
                sending = self.sent[attempt[0]]
                at = self.costs[attempt][0]["admitted_at"]
                if sending.tenant.id == row["tenant_id"] and _counts(row, sending, at):
                    settled += amount
            name = f"budget {row['tenant_id']} {row['subject']} {row['period']} {row['basis']}"
            if Fraction(row["settled"]) != settled:
                yield f"{name}: settled {row['settled']}, not {float(settled)}"
            if row["reserved"] != 0:
                yield f"{name}: {row['reserved']} stays reserved"

    def _peaks(self) -> Iterator[str]:
        """No hard budget was passed by more than what its requests used beyond what they held."""
        for peak in self.facts.peaks.values():
            excess = Fraction()
            for sending in self.facts.sendings:
                if sending.tenant.id == peak.tenant:
                    excess += self._excess(sending, peak.basis)
            if peak.amount > peak.limit + excess:
                yield f"{peak} was passed; {float(excess)} were used beyond their reservations"

    def _excess(self, sending: Sending, basis: str) -> Fraction:
        amounts = self.charge_of if basis == "charge" else self.cost_of
        ours = [attempt for attempt in amounts if attempt[0] == sending.request_id]
        used = sum((amounts[attempt] for attempt in ours), Fraction())
        if self.facts.late.intersection(ours):
            return used  # its hold was given back before it came
        held = self.facts.reserved.get(sending.request_id, (Fraction(), Fraction()))
        return max(used - held[basis == "charge"], Fraction())

    def _leftovers(self) -> Iterator[str]:
        if self.ledger.open_requests:
            yield f"{self.ledger.open_requests} requests are still open"
        admitted = {
            (sending.tenant.id, attempt[0], rows[0]["admitted_at"])
            for attempt, rows in self.costs.items()
            if rows and (sending := self.sent.get(attempt[0]))
        }
        zones = {tenant.id: tenant.zone for tenant in self.facts.tenants}
        for row in self.ledger.counters:
            tenant = row["tenant_id"]
            days = [calendar.day_of(at, zones[t]) for t, _, at in admitted if t == tenant]
            if row["in_flight"]:
                yield f"{tenant} has {row['in_flight']} in flight"
            if row["day_requests"] != days.count(row["day"]):
                expected = days.count(row["day"])
                yield f"{tenant} counts {row['day_requests']} requests, not {expected}"

    def _prices(self, version: int) -> Mapping[tuple[str, str, int, str], str] | None:
        return {e.version: e.prices for e in self.facts.editions}.get(version)

    def _markups(self, plan: str, version: int) -> Callable[[str], Fraction] | None:
        known = {(p.name, p.version): p.table for p in self.facts.plans}.get((plan, version))
        if known is None:
            return None
        by_class = known.get("markup_by_class", {})
        return lambda name: Fraction(by_class.get(name, known["markup"]))


def _lines(row: Any, usage: Usage, units: Mapping[str, Fraction], of: str) -> Iterator[str]:
    """Lines as expected: each class once, its quantity, its unit price, the exact product."""
    quantities = dict(zip(row["token_classes"], row["quantities"], strict=True))
    if quantities != usage or len(row["token_classes"]) != len(usage):
        yield f"posts {quantities}, not {usage}"
        return
    for name, unit, amount in zip(
        row["token_classes"], row["unit_prices"], row["amounts"], strict=True
    ):
        if Fraction(unit) != units[name]:
            yield f"{of} of {name} is {unit}, not {float(units[name])}"
        if Fraction(amount) != usage[name] * units[name] / 10**6:
            yield f"{usage[name]} {name} come to {amount}"


def _counts(row: Any, sending: Sending, at: datetime) -> bool:
    """Whether a budget is over a sending: its subject, and the period that began with its row."""
    subject, tenant = row["subject"], sending.tenant
    subjects = {"plan", "tenant", f"api_key:{sending.api_key}", f"run:{sending.run}"}
    if sending.user:
        subjects.add(f"user:{tenant.users[sending.user]}")
    if subject not in subjects:
        return False
    if row["period"] == "total":
        return True
    if row["period"] == "day":
        day = calendar.day_of(at, tenant.zone)
        return bool(row["period_start"] == calendar.first_instant(day, tenant.zone))
    start = calendar.period_start(at, tenant.zone, tenant.anchor_day)
    return bool(row["period_start"] == start)


def _attempt_of(metadata: Mapping[str, str]) -> AttemptId:
    call, _, attempt = metadata["att"].partition(":")
    return metadata["rid"], int(call), int(attempt)


def _name(attempt: AttemptId) -> str:
    return f"{attempt[0]}/{attempt[1]}:{attempt[2]}"


def _decoded(tags: object) -> object:
    import json

    return json.loads(tags) if isinstance(tags, str) else tags
