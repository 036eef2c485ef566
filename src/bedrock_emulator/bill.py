"""The emulator's own bill: what each invocation generated, to the token, in `bill.jsonl`.

It is the oracle that a meter is held against: written from the generation itself, whatever the
client read of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from bedrock_emulator.engine.types import TokenUsage
from bedrock_emulator.files import reading_again
from bedrock_emulator.journal import Journal, Mode

LISTED_MAX = 100_000  # records that one `GET /_emulator/bill` returns
CLASSES = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")


@dataclass(frozen=True, slots=True)
class Charge:
    """One billed invocation. `model_id` is as called, `model` the base model behind it."""

    account: str
    region: str
    request_id: str
    operation: str
    model_id: str
    model: str
    usage: TokenUsage
    guardrail: Mapping[str, int]  # units by member of a guardrail's usage
    service_tier: str | None
    inference_region: str | None
    request_metadata: Mapping[str, str]
    invocation_id: str | None  # the client's amz-sdk-invocation-id
    error_code: str | None
    timestamp: datetime
    job_arn: str | None = None  # of a batch job, with its record
    record_id: str | None = None
    search_units: int = 0  # queries of a reranking model
    latency: str | None = None  # standard or optimized, where the call names one


class Bill:
    """Appends charges durably and keeps totals for each account, also over restarts."""

    def __init__(self, path: Path, mode: Mode) -> None:
        self._path = path
        self._totals: dict[str, dict[str, int]] = {}
        for number, line in enumerate(_lines(path), 1):
            with reading_again(path, number):
                record = orjson.loads(line)
                self._count(record["account"], record["usage"], _units(record))
        self._journal = Journal(path, mode)

    def append(self, charge: Charge) -> None:
        usage = {
            "input": charge.usage.input,
            "output": charge.usage.output,
            "cache_read": charge.usage.cache_read,
            "cache_write_5m": charge.usage.cache_write_5m,
            "cache_write_1h": charge.usage.cache_write_1h,
        }
        record: dict[str, Any] = {
            "timestamp": _instant(charge.timestamp),
            "account": charge.account,
            "region": charge.region,
            "request_id": charge.request_id,
            "invocation_id": charge.invocation_id,
            "operation": charge.operation,
            "model_id": charge.model_id,
            "model": charge.model,
            "usage": usage,
            "guardrail": {name: units for name, units in charge.guardrail.items() if units},
            "service_tier": charge.service_tier,
            "inference_region": charge.inference_region,
            "request_metadata": charge.request_metadata,
            "error_code": charge.error_code,
        }
        if charge.search_units:
            record["search_units"] = charge.search_units
        if charge.latency is not None:
            record["latency"] = charge.latency
        if charge.job_arn is not None:
            record |= {"job_arn": charge.job_arn, "record_id": charge.record_id}
        self._journal.append(orjson.dumps(record))
        self._count(charge.account, usage, _units(record))

    async def settled(self) -> None:
        """Returns when every charge appended so far is durable."""
        await self._journal.settled()

    def read(self, account: str | None, offset: int, limit: int) -> dict[str, Any]:
        """Records in order of billing, and the totals of all of them by account."""
        self._journal.write()
        if account is None:
            records = _records(self._path, offset)
        else:
            own = (record for record in _records(self._path) if record["account"] == account)
            records = islice(own, offset, None)
        most = min(limit, LISTED_MAX)
        chosen = list(islice(records, most + 1))
        totals = {name: sums for name, sums in self._totals.items() if account in (None, name)}
        return {"records": chosen[:most], "totals": totals, "more": len(chosen) > most}

    def of_job(self, job_arn: str) -> list[dict[str, Any]]:
        """What a batch job has been billed."""
        self._journal.write()
        return [record for record in _records(self._path) if record.get("job_arn") == job_arn]

    def close(self) -> None:
        self._journal.close()

    def _count(self, account: str, usage: Mapping[str, int], units: Mapping[str, int]) -> None:
        sums = self._totals.setdefault(account, dict.fromkeys(("invocations", *CLASSES), 0))
        sums["invocations"] += 1
        for name in CLASSES:
            sums[name] += usage[name]
        for name, count in units.items():
            sums[name] = sums.get(name, 0) + count


def _records(path: Path, first: int = 0) -> Iterator[dict[str, Any]]:
    return map(orjson.loads, _lines(path, first))


def _lines(path: Path, first: int = 0) -> Iterator[bytes]:
    """Every whole record from the `first` on; a line that a crash cut short is not one."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in islice(file, first, None):
            if line.endswith(b"\n"):
                yield line


def _units(record: Mapping[str, Any]) -> Mapping[str, int]:
    """What a record bills beside tokens."""
    units: dict[str, int] = dict(record.get("guardrail", {}))
    if "search_units" in record:
        units["search_units"] = record["search_units"]
    return units


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
