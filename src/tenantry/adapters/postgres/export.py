"""A tenant's own rows for its export, and what is forgotten of an end user: `ports.export`."""

from __future__ import annotations

import base64
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final
from uuid import UUID

import orjson

from tenantry.adapters.postgres.batches import to_job
from tenantry.adapters.postgres.statements import rows_of, statements
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.domain.errors import BadRequest, Conflict
from tenantry.domain.ids import ApiKeyId, TenantId
from tenantry.ports.batch import BatchJob
from tenantry.ports.export import Entry, KeptReply, KeptResult, KeptSession
from tenantry.ports.idempotency import UsedKey

READ_TIMEOUT_S: Final = 60.0  # of a page: an end user's may lie anywhere in the books
FORGET_TIMEOUT_S: Final = 60  # likewise
ERASED_MAX: Final = 100_000  # end users of a tenant
ERASED_TTL_S: Final = 15.0  # how long a worker may go by who was erased, or capped, before
ERASED_CACHED_MAX: Final = 4_096  # tenants
_CURSOR_CHARS_MAX: Final = 512
_ZERO: Final = UUID(int=0)
_EPOCH: Final = datetime.fromisoformat("0001-01-01T00:00:00+00:00")


class PostgresTenantExport:
    """`erased`: of this worker, so that it knows of an erasure of its own at once."""

    def __init__(self, work: TenantWork, erased: PostgresErasedUsers) -> None:
        self._work = work
        self._erased = erased
        self._sql = statements("sql/export.sql")

    async def usage(
        self, tenant_id: TenantId, after: str | None, limit: int, user_hashes: Sequence[str] | None
    ) -> Sequence[Entry]:
        begin = [_EPOCH.isoformat(), str(_ZERO), 0, 0, ""]
        at, request_id, call, attempt, kind = _decoded(after, begin)
        try:
            since = datetime.fromisoformat(at).astimezone(UTC)
            values = (since, UUID(request_id), call, attempt, kind)
        except (OverflowError, ValueError):
            raise _no_cursor() from None
        rows = await self._read("usage_entries", tenant_id, *values, _of(user_hashes), limit)
        return [_to_entry(row) for row in rows]

    async def results(
        self, tenant_id: TenantId, after: str | None, limit: int, user_hashes: Sequence[str] | None
    ) -> Sequence[KeptResult]:
        kind, api_key_id, hmac = _decoded(after, ["", "", ""])
        values = (kind, api_key_id, _bytes(hmac), _of(user_hashes), limit)
        rows = await self._read("kept_results", tenant_id, *values)
        return [
            KeptResult(
                UsedKey(row["kind"], tenant_id, ApiKeyId(row["api_key_id"]), row["key_hmac"]),
                row["request_id"],
                row["expires_at"],
                row["sealed"],
                _encoded(row["kind"], row["api_key_id"], row["key_hmac"].hex()),
            )
            for row in rows
        ]

    async def replies(
        self, tenant_id: TenantId, after: str | None, limit: int, user_hashes: Sequence[str] | None
    ) -> Sequence[KeptReply]:
        (name,) = _decoded(after, [""])
        rows = await self._read("kept_replies", tenant_id, _bytes(name), _of(user_hashes), limit)
        return [_to_reply(row) for row in rows]

    async def replies_of(
        self, tenant_id: TenantId, user_hashes: Sequence[str], limit: int
    ) -> Sequence[KeptReply]:
        rows = await self._read("kept_replies", tenant_id, b"", list(user_hashes), limit)
        return [_to_reply(row) for row in rows]

    async def sessions(
        self, tenant_id: TenantId, after: str | None, limit: int, user_hashes: Sequence[str] | None
    ) -> Sequence[KeptSession]:
        rows = await self._read("sessions", tenant_id, after or "", _of(user_hashes), limit)
        return [KeptSession(**dict(row)) for row in rows]

    async def jobs(self, tenant_id: TenantId, after: str | None, limit: int) -> Sequence[BatchJob]:
        try:
            request_id = _ZERO if after is None else UUID(after)
        except ValueError:
            raise _no_cursor() from None
        return [to_job(row) for row in await self._read("jobs", tenant_id, request_id, limit)]

    async def forget_results(self, tenant_id: TenantId, user_hashes: Sequence[str]) -> int:
        async with self._work.writing(tenant_id) as unit:
            tag = await unit.execute_within(
                FORGET_TIMEOUT_S, self._sql["forget_results"], tenant_id, list(user_hashes)
            )
        return rows_of(tag)

    async def forget_reply(self, tenant_id: TenantId, object_id: str) -> None:
        async with self._work.writing(tenant_id) as unit:
            await unit.execute(self._sql["forget_reply"], tenant_id, object_id)

    async def part_from(self, tenant_id: TenantId, user_hashes: Sequence[str]) -> bool:
        hashes = list(user_hashes)
        async with self._work.writing(tenant_id) as unit:
            if not await unit.fetchval(self._sql["known_user"], tenant_id, hashes):
                return False
            if await unit.fetchval(self._sql["count_erased"], tenant_id) >= ERASED_MAX:
                raise Conflict(f"{ERASED_MAX:,} end users were erased; no more can be kept apart.")
            await unit.execute(self._sql["await_keepers"], tenant_id)
            tag = await unit.execute(self._sql["erase_user"], tenant_id, hashes)
        self._erased.forget(tenant_id)
        return tag != "INSERT 0 0"

    async def erased(self, tenant_id: TenantId) -> frozenset[str]:
        self._erased.forget(tenant_id)
        return await self._erased.of(tenant_id)

    async def _read(self, name: str, tenant_id: TenantId, *values: object) -> list[Any]:
        async with self._work.reading(tenant_id) as unit:
            return await unit.fetch(self._sql[name], tenant_id, *values, timeout_s=READ_TIMEOUT_S)


class _Users:
    """Some hashes of each tenant, read again after `ERASED_TTL_S`."""

    _statement: ClassVar[str]

    def __init__(self, work: TenantWork, monotonic: Callable[[], float]) -> None:
        self._work = work
        self._monotonic = monotonic
        self._sql = statements("sql/export.sql")
        self._known: OrderedDict[TenantId, tuple[float, frozenset[str]]] = OrderedDict()

    async def of(self, tenant_id: TenantId) -> frozenset[str]:
        known = self._known.get(tenant_id)
        if known is not None and self._monotonic() < known[0]:
            return known[1]
        read_at = self._monotonic()
        async with self._work.reading(tenant_id) as unit:
            rows = await unit.fetch(self._sql[self._statement], tenant_id)
        found = frozenset(row["user_hash"] for row in rows)
        self._known[tenant_id] = (read_at + ERASED_TTL_S, found)
        self._known.move_to_end(tenant_id)
        while len(self._known) > ERASED_CACHED_MAX:
            self._known.popitem(last=False)
        return found

    def forget(self, tenant_id: TenantId) -> None:
        """The next question is asked of the database."""
        self._known.pop(tenant_id, None)


class PostgresErasedUsers(_Users):
    """`ports.export.ErasedUsers`."""

    _statement = "erased_users"


class PostgresCappedUsers(_Users):
    """`ports.export.CappedUsers`."""

    _statement = "capped_users"


def _of(user_hashes: Sequence[str] | None) -> list[str] | None:
    return None if user_hashes is None else list(user_hashes)


def _to_reply(row: Any) -> KeptReply:
    return KeptReply(
        row["account"],
        bytes(row["name_hmac"]),
        row["object_id"],
        row["request_id"],
        row["expires_at"],
        _encoded(row["name_hmac"].hex()),
    )


def _to_entry(row: Any) -> Entry:
    lines = zip(
        row["token_classes"], row["quantities"], row["unit_prices"], row["amounts"], strict=True
    )
    told = {
        "request_id": str(row["request_id"]),
        "call": row["call"],
        "attempt": row["attempt"],
        "kind": row["kind"],
        "admitted_at": row["admitted_at"],
        "posted_at": row["posted_at"],
        "day": row["day"].isoformat(),
        "model": row["model"],
        "charge": row["amount"],
        "currency": row["currency"],
        "lines": [
            {"class": klass, "quantity": count, "per_million": price, "charge": amount}
            for klass, count, price, amount in lines
        ],
        "plan": row["plan"],
        "plan_version": row["plan_version"],
        "price_version": row["price_version"],
        "api_key_id": row["api_key_id"],
        "user_hash": row["user_hash"],
        "run_id": row["run_id"],
        "tags": orjson.loads(row["tags"]),
        "flags": list(row["flags"]),
    }
    at = row["admitted_at"].isoformat()
    cursor = _encoded(at, str(row["request_id"]), row["call"], row["attempt"], row["kind"])
    return Entry(told, cursor)


def _encoded(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _decoded(cursor: str | None, begin: list[Any]) -> list[Any]:
    """The parts of a cursor, or those of the beginning. Raises `BadRequest`."""
    if cursor is None:
        return begin
    try:
        if len(cursor) > _CURSOR_CHARS_MAX:
            raise ValueError
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = json.loads(base64.urlsafe_b64decode(padded))
    except ValueError:
        raise _no_cursor() from None
    kinds = [type(part) for part in begin]
    if not isinstance(parts, list) or [type(part) for part in parts] != kinds:
        raise _no_cursor()
    if not all(_storable(part) for part in parts):
        raise _no_cursor()
    return parts


def _storable(part: str | int) -> bool:
    """Whether the database could have given it: a short name, or a `smallint`."""
    if isinstance(part, str):
        return part.isascii() and part.isprintable()
    return 0 <= part < 2**15


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise _no_cursor() from None


def _no_cursor() -> BadRequest:
    return BadRequest("`cursor` is not one that this list returned.")
