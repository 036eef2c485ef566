"""The last act: the ledger against the bill that Bedrock's emulator wrote by itself.

Two programs that share no code count the same calls; they must agree on every token of every
attempt, and neither may know one that the other does not.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from tenantry.entrypoints.api_client import Api
from tenantry.entrypoints.demo.show import Failed, Show, expect
from tenantry.ports.ledger import LedgerKeeper

SETTLE_S = 90.0  # unknown attempts wait for the log, which is late by design
# the emulator's words → the ledger's
_CLASSES: Mapping[str, tuple[str, ...]] = {
    "input": ("uncached_in", "embedding"),
    "output": ("out",),
    "cache_read": ("cache_read",),
    "cache_write_5m": ("cache_write_5m",),
    "cache_write_1h": ("cache_write_1h",),
}
_UNITS: Mapping[str, tuple[str, ...]] = {  # of guardrails; the bill's free ones are nowhere booked
    "topicPolicyUnits": ("guardrail_topic",),
    "contentPolicyUnits": ("guardrail_content",),
    "contentPolicyImageUnits": ("guardrail_image",),
    "sensitiveInformationPolicyUnits": ("guardrail_pii",),
    "contextualGroundingPolicyUnits": ("guardrail_grounding",),
}
_RERANKS = "reranks"  # Rerank takes no metadata to tell attempts by: its queries are summed
Counts = Mapping[str, int]
RunKeeper = Callable[[Callable[[LedgerKeeper], Awaitable[Any]]], Any]


def reconcile(show: Show, emulator: Api, run_keeper: RunKeeper, hold: timedelta) -> None:
    """Waits until nothing is open, then compares attempt by attempt. `hold`: how long one may be
    unknown."""
    show.act("6  The ledger equals the bill, to the token")
    deadline = time.monotonic() + SETTLE_S
    while True:
        billed, booked = _billed(emulator), run_keeper(_booked)
        if billed == booked or time.monotonic() > deadline:
            break
        time.sleep(1)
    wrong = [key for key in billed.keys() | booked.keys() if billed.get(key) != booked.get(key)]
    if wrong:
        raise Failed(f"{len(wrong)} attempts differ between bill and ledger, first {wrong[0]}")
    attempts = f"{len(billed.keys() - {_RERANKS}):,}"
    total = {name: sum(counts[name] for counts in billed.values()) for name in _CLASSES}
    expect(bool(billed), "there is a bill")
    show.say(
        "an attempt is one call of a model: a request of act 1 or 2 makes several, as a document"
        " is embedded passage by passage"
    )
    show.table(
        ("", "attempts", "in", "out", "read", "write 5m", "write 1h"),
        [
            (name, attempts, *(f"{count:,}" for count in total.values()))
            for name in ("Bedrock's bill", "Tenantry's ledger")
        ],
    )
    show.checked("the difference is 0 in every class of every attempt")
    violations = run_keeper(lambda keeper: keeper.violations(hold))
    expect(not violations, f"all invariants hold, not {violations}")
    show.checked("every transaction sums to zero, and balances equal their replay")


async def _booked(keeper: LedgerKeeper) -> dict[str, Counts]:
    """Token counts by `<request>/<call>:<attempt>`, of all that was billed to us."""
    found: dict[str, Counts] = {}
    queries = 0
    for row in await keeper.provider_usage():
        queries += row.quantities.get("rerank_units", 0)
        counts = {
            name: sum(row.quantities.get(token_class, 0) for token_class in classes)
            for name, classes in {**_CLASSES, **_UNITS}.items()
        }
        if any(counts.values()):
            found[f"{row.request_id}/{row.call}:{row.attempt}"] = counts
    return _with_reranks(found, queries)


def _billed(emulator: Api) -> dict[str, Counts]:
    reply = emulator.get("/_emulator/bill")
    expect(reply.status == 200, "the emulator shows its bill")
    found: dict[str, Counts] = {}
    queries = 0
    for record in reply.body["records"]:
        if record["operation"] == "Rerank":
            queries += int(record["search_units"])
            continue
        found[_attempt(record)] = {
            **{name: int(record["usage"][name]) for name in _CLASSES},
            **{name: int(record["guardrail"].get(name, 0)) for name in _UNITS},
        }
    return _with_reranks(found, queries)


def _attempt(record: Mapping[str, Any]) -> str:
    """Whose it is: a call says so itself, a batch's record by its number in the job's request."""
    metadata, record_id = record["request_metadata"], record.get("record_id")
    attempt = metadata.get("att") if record_id is None else f"{int(record_id[1:])}:1"
    return f"{metadata.get('rid')}/{attempt}"


def _with_reranks(found: dict[str, Counts], queries: int) -> dict[str, Counts]:
    """Whoever tries the demo may have reranked while it was up."""
    if queries:
        found[_RERANKS] = {**dict.fromkeys((*_CLASSES, *_UNITS), 0), "queries": queries}
    return found
