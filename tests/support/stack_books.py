"""Two programs that share no code count the same calls: the emulator's bill and the ledger."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from tests.support.emulator import Emulator
from tests.support.ledger import HOLD

SETTLE_S = 60.0
BILL_PAGE = 1_000
# The emulator's words → the ledger's.
_CLASSES: Mapping[str, tuple[str, ...]] = {
    "input": ("uncached_in", "embedding"),
    "output": ("out",),
    "cache_read": ("cache_read",),
    "cache_write_5m": ("cache_write_5m",),
    "cache_write_1h": ("cache_write_1h",),
}
# Of guardrails, whose free ones are nowhere booked, and of reranking models.
_UNITS: Mapping[str, tuple[str, ...]] = {
    "topicPolicyUnits": ("guardrail_topic",),
    "contentPolicyUnits": ("guardrail_content",),
    "contentPolicyImageUnits": ("guardrail_image",),
    "sensitiveInformationPolicyUnits": ("guardrail_pii",),
    "contextualGroundingPolicyUnits": ("guardrail_grounding",),
    "searchUnits": ("rerank_units",),
}
_BOOKED = """
SELECT request_id::text || '/' || call || ':' || attempt AS attempt, token_class,
       sum(quantity)::bigint AS quantity
FROM tenantry.provider_ledger WHERE tenant_id = ANY ($1::text[])
GROUP BY request_id, call, attempt, token_class
"""
# What carries no metadata is found by the provider's own id of it.
_UPSTREAM = """
SELECT upstream_request_id, request_id::text || '/' || call || ':' || attempt
FROM tenantry.attempt WHERE tenant_id = ANY ($1::text[])
  AND operation IN ('ApplyGuardrail', 'CachedAnswer', 'Rerank') AND upstream_request_id IS NOT NULL
"""
_OPEN = "SELECT request_id::text FROM tenantry.open_request WHERE tenant_id = ANY ($1::text[])"
_INTENTS = """
SELECT request_id::text || '/' || call || ':' || attempt AS attempt, state
FROM tenantry.intent WHERE tenant_id = ANY ($1::text[])
"""
Counts = Mapping[str, int]


class HasId(Protocol):
    @property
    def id(self) -> str: ...


class Books:
    """Bill, ledger, and what is open, each of the tenants named."""

    emulator: Emulator
    home: Path

    def __init__(self) -> None:
        self._billed: list[dict[str, Any]] = []

    @abstractmethod
    def rows(self, query: str, *values: object) -> list[Any]: ...

    def bill(self, *tenants: HasId) -> dict[str, Counts]:
        """Token counts by `<request>/<call>:<attempt>`, as the emulator billed them."""
        ids = {tenant.id for tenant in tenants}
        found: dict[str, Counts] = {}
        unnamed = {row[0]: row[1] for row in self.rows(_UPSTREAM, list(ids))}
        for record in self.bill_records():
            if record["request_id"] in unnamed:
                found[unnamed[record["request_id"]]] = counts_of(record)
                continue
            metadata = record["request_metadata"]
            if metadata.get("tid") in ids:
                record_id = record.get("record_id")  # of a batch, which calls nobody by name
                attempt = metadata["att"] if record_id is None else f"{int(record_id[1:])}:1"
                key = f"{metadata['rid']}/{attempt}"
                assert key not in found, f"attempt {key} was billed twice"
                found[key] = counts_of(record)
        return found

    def bill_records(self) -> list[dict[str, Any]]:
        """All of the bill, which only grows: what was read before is not read again."""
        while True:
            page = self.emulator.own("GET", f"bill?offset={len(self._billed)}&limit={BILL_PAGE}")
            self._billed += page["records"]
            if not page["more"]:
                return self._billed

    def ledger(self, *tenants: HasId) -> dict[str, Counts]:
        """The same of the provider's book, attempts that used nothing of the provider left out."""
        raw: dict[str, dict[str, int]] = {}
        for row in self.rows(_BOOKED, [tenant.id for tenant in tenants]):
            raw.setdefault(row["attempt"], {})[row["token_class"]] = row["quantity"]
        counted = {
            attempt: {
                name: sum(classes.get(word, 0) for word in words)
                for name, words in {**_CLASSES, **_UNITS}.items()
            }
            for attempt, classes in raw.items()
        }
        return {attempt: counts for attempt, counts in counted.items() if any(counts.values())}

    def open_requests(self, *tenants: HasId) -> list[str]:
        """The requests that hold a reservation."""
        return [row[0] for row in self.rows(_OPEN, [tenant.id for tenant in tenants])]

    def wait_settled(self, *tenants: HasId) -> None:
        """Returns once no request is open and ledger and bill agree, after the log was read.

        Raises AssertionError with what differs.
        """
        deadline = time.monotonic() + SETTLE_S
        while True:
            self.emulator.own("POST", "flush-logs")
            still_open = self.open_requests(*tenants)
            billed, booked = self.bill(*tenants), self.ledger(*tenants)
            if not still_open and billed == booked:
                return
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        assert not still_open, f"still open: {still_open}"
        assert booked == billed

    def wait_accounted(self, *tenants: HasId) -> int:
        """As `wait_settled`, after a crash: calls that died before the emulator saw them.

        No log will ever speak of them. Once they alone are left, and unknown, time is let pass:
        they are written off. Returns how many.
        """
        deadline = time.monotonic() + SETTLE_S
        while True:
            self.emulator.own("POST", "flush-logs")
            states = {
                row["attempt"]: row["state"]
                for row in self.rows(_INTENTS, [tenant.id for tenant in tenants])
            }
            billed = self.bill(*tenants)
            settled = billed == self.ledger(*tenants)
            if settled and set(states.values()) <= {"unknown"} and not billed.keys() & states:
                break
            if time.monotonic() > deadline:
                said = (self.home / "serve.stderr").read_text()[-8_000:]
                raise AssertionError(f"open: {states}, settled: {settled}; serve said:\n{said}")
            time.sleep(0.1)
        now = datetime.now(UTC)
        lost: int = self.keeper(lambda keeper: keeper.give_up(now))  # type: ignore[attr-defined]
        assert lost == len(states)
        self.wait_settled(*tenants)
        return lost

    def ledger_equals_bill(self, *tenants: HasId) -> bool:
        """Attempt by attempt and class by class, as it stands now."""
        return self.bill(*tenants) == self.ledger(*tenants)

    def violations(self) -> list[Any]:
        """What `reconcile --invariants` would say."""
        found: list[Any] = self.keeper(lambda keeper: keeper.violations(HOLD))  # type: ignore[attr-defined]
        return found


def counts_of(record: Mapping[str, Any]) -> Counts:
    """What one line of the bill counts: tokens, and units of guardrails and reranking."""
    tokens = {name: int(record["usage"][name]) for name in _CLASSES}
    units = {**record["guardrail"], "searchUnits": record.get("search_units", 0)}
    return {**tokens, **{name: int(units.get(name, 0)) for name in _UNITS}}
