"""Idempotency keys in PostgreSQL: `ports.idempotency.IdempotencyStore` and its sweep.

One round trip for a group of claims or endings, outside any explicit transaction: the functions of
migrations 0011 and 0043 take up each row's tenant themselves, under the same row policies as a unit
of work. Claims of implied keys touch tables without WAL only, so their commit waits for no disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, assert_never

from tenantry.adapters.postgres.grouped import Grouped
from tenantry.adapters.postgres.pooled import Pooled
from tenantry.ports.idempotency import (
    GIVEN_KEPT_S,
    IMPLIED_KEPT_S,
    LEASE_S,
    Claim,
    Claimed,
    ClaimResult,
    KeptAnswer,
    KeyKind,
    Lost,
    Running,
)

_GROUP_MAX: Final = 64  # answers of 1 MiB are then 64 MiB in one statement
_WAITING_MAX: Final = 10_000
_LEASE: Final = timedelta(seconds=LEASE_S)


@dataclass(frozen=True, slots=True)
class _Note:
    claim: Claim
    state: Literal["running", "kept", "lost", "free"]
    sealed: bytes | None = None
    user_hash: str | None = None


class _Lane(Pooled):
    """One kind of key: the implied ones must not wait for the disk behind the given ones."""

    def __init__(self, pool: Any, kind: KeyKind, kept_s: int) -> None:
        super().__init__(pool, "sql/idempotency.sql")
        self._kind = kind
        self._kept = timedelta(seconds=kept_s)
        self.claims = Grouped(self._claim, group_max=_GROUP_MAX, waiting_max=_WAITING_MAX)
        self.notes = Grouped(self._note, group_max=_GROUP_MAX, waiting_max=_WAITING_MAX)

    async def _claim(self, claims: Sequence[Claim]) -> list[ClaimResult]:
        resent = [claim.resent for claim in claims]
        rows = await self._ask("claim", claims, resent)
        return [_result(row) for row in sorted(rows, key=lambda row: row["number"])]

    async def _note(self, notes: Sequence[_Note]) -> list[None]:
        states, sealed = [note.state for note in notes], [note.sealed for note in notes]
        users = [note.user_hash for note in notes]
        await self._ask("note", [note.claim for note in notes], states, sealed, users)
        return [None] * len(notes)

    async def _ask(self, name: str, claims: Sequence[Claim], *more: Sequence[object]) -> Any:
        async with self._connection() as connection:
            return await connection.fetch(
                self._sql[name],
                self._kind,
                [claim.key.tenant_id for claim in claims],
                [claim.key.api_key_id for claim in claims],
                [claim.key.key_hmac for claim in claims],
                [claim.body_hmac for claim in claims],
                [claim.request_id for claim in claims],
                *more,
                _LEASE,
                self._kept,
            )


class PostgresIdempotency:
    """For one worker, over its `app` pool."""

    def __init__(self, app_pool: Any, *, given_kept_s: int = GIVEN_KEPT_S) -> None:
        self._lanes: dict[KeyKind, _Lane] = {
            "given": _Lane(app_pool, "given", given_kept_s),
            "implied": _Lane(app_pool, "implied", IMPLIED_KEPT_S),
        }

    async def claim(self, claim: Claim) -> ClaimResult:
        return await self._lanes[claim.key.kind].claims.add(claim)

    async def keep(self, claim: Claim, sealed: bytes, user_hash: str | None = None) -> None:
        await self._note(_Note(claim, "kept", sealed, user_hash))

    async def lose(self, claim: Claim) -> None:
        await self._note(_Note(claim, "lost"))

    async def free(self, claim: Claim) -> None:
        await self._note(_Note(claim, "free"))

    async def prolong(self, claims: Sequence[Claim]) -> None:
        await asyncio.gather(*(self._note(_Note(claim, "running")) for claim in claims))

    async def _note(self, note: _Note) -> None:
        await self._lanes[note.claim.key.kind].notes.add(note)


class PostgresExpiredKeys(Pooled):
    """The sweep, over the background worker's `control` pool."""

    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/idempotency.sql")

    async def sweep(self, limit: int) -> int:
        return await self._execute("sweep", limit)


def _result(row: Any) -> ClaimResult:
    outcome: Literal["claimed", "running", "kept", "lost"] = row["outcome"]
    match outcome:
        case "claimed":
            return Claimed()
        case "running":
            return Running(row["body_hmac"])
        case "kept":
            return KeptAnswer(row["body_hmac"], row["request_id"], row["sealed"])
        case "lost":
            return Lost(row["body_hmac"])
        case _:
            assert_never(outcome)
