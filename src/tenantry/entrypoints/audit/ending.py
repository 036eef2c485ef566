"""The end of canaries: put away whatever came before, and shredded where they would go on to cost.

A ledger is never deleted from, so that a tenant cannot be either. What is left of a canary is its
row, suspended, without a key that works, a document, or a budget, and what its calls were charged:
nothing, by a plan whose markup is 0, so that no invoice is ever made for it. A KMS key of its own
and vectors in an engine would stay as well; a shred takes both away.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from tenantry.domain.audit import CANARY_PREFIX
from tenantry.entrypoints.audit.attacks.groups import GROUP
from tenantry.entrypoints.audit.attacks.places import SEALED
from tenantry.entrypoints.audit.credentials import Credential, bearer
from tenantry.entrypoints.audit.exchange import ask
from tenantry.entrypoints.audit.operator import Operator, Refused
from tenantry.entrypoints.audit.stage import ALL_SCOPES, CANARIES, canary_name
from tenantry.entrypoints.audit.wire import Wire
from tenantry.entrypoints.signals import endings

_STALE_AFTER: Final = timedelta(hours=1)  # a canary of an audit that was killed
_ROUNDS_MAX: Final = 200  # of 100 documents each
_GROUPS: Final = f"{GROUP},audit-staff"
EngineFor = Callable[[str], str | None]  # where a tenant's passages rest; None: not seen from here


@dataclass(slots=True)
class Ending:
    """How the canaries of one audit are to end, and what came of it."""

    shred: bool | None = None  # None: where a canary would go on to cost
    engine: str | None = None  # where their passages rest; None: not seen from here
    problems: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # names of those that may still be active
    shredded: set[str] = field(default_factory=set)  # ids

    def told(self) -> list[str]:
        """What did not work, and what is to be done about it."""
        if not self.left:
            return self.problems
        return [how_to_suspend(self.left), *self.problems]


def how_to_suspend(names: Sequence[str]) -> str:
    return (
        f"not known to be put away: {', '.join(names)}; `tenantry tenants suspend` with each name"
        " does it, and their keys expire within an hour"
    )


@contextmanager
def put_away_after(operator: Operator, data: Wire, run: str, ending: Ending) -> Iterator[None]:
    """The canaries of a run are put away at the end, however it comes; they are known by name, so
    that one whose making was interrupted is found as well."""
    try:
        yield
    finally:
        with _undisturbed():
            for who in CANARIES:
                name = canary_name(run, who)
                try:
                    tenant = operator.get(f"/tenants/{name}")
                except (Refused, OSError) as problem:
                    if getattr(problem, "status", None) != HTTPStatus.NOT_FOUND:
                        ending.problems.append(f"{who}: {problem}")
                        ending.left.append(name)
                else:
                    put_away(operator, data, tenant, who, ending, ending.engine)


@contextmanager
def _undisturbed() -> Iterator[list[int]]:
    """An ending in the midst does not leave canaries with keys that work. Gives what was held
    off."""
    held: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield held
        return

    def hold(number: int, _: object) -> None:
        held.append(number)

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, *endings())}
    try:
        yield held
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def put_away(
    operator: Operator,
    data: Wire,
    tenant: Mapping[str, Any],
    who: str,
    ending: Ending,
    engine: str | None,
) -> None:
    """Documents and budgets gone, keys revoked, the tenant suspended; and shredded, if it is to."""
    tenant_id = tenant["id"]
    try:
        operator.post(f"/tenants/{tenant_id}/resume")
        key = operator.key(tenant_id, name="audit: putting away", scopes=list(ALL_SCOPES))
        ending.problems += _without_documents(data, bearer(key.bearer), who)
        for row in operator.every("/budgets", tenant=tenant_id):
            if row.get("id"):
                operator.delete(f"/budgets/{row['id']}", tenant=tenant_id)
    except (Refused, OSError) as problem:
        ending.problems.append(f"{who}: {problem}")
    try:
        for row in operator.every("/keys", tenant=tenant_id):
            if row["revoked_at"] is None:
                operator.revoke(tenant_id, row["id"])
        operator.post(f"/tenants/{tenant_id}/suspend")
    except (Refused, OSError) as problem:
        ending.problems.append(f"{who}: {problem}")
        ending.left.append(tenant["name"])
        return
    try:
        if _is_to_go(operator, tenant, ending.shred, engine):
            operator.post(f"/tenants/{tenant_id}/shred", {"confirm": tenant["name"]})
            ending.shredded.add(tenant_id)
    except (Refused, OSError) as problem:
        ending.problems.append(f"{who} was not shredded: {problem}")


def _is_to_go(
    operator: Operator, tenant: Mapping[str, Any], shred: bool | None, engine: str | None
) -> bool:
    if shred is not None:
        return shred
    if engine not in (None, SEALED):
        return True
    plans = [row for row in operator.every("/plans") if row["name"] == tenant["plan"]]
    places = operator.every("/placements")
    places = [row for row in places if row["id"] == tenant["placement"]]
    return any(row.get("kms_key") == "own" for row in (*plans, *places))


def _without_documents(data: Wire, credential: Credential, name: str) -> list[str]:
    headers = {"x-tenantry-groups": _GROUPS}
    for _ in range(_ROUNDS_MAX):
        listed = ask("GET /v1/documents", query={"limit": "100"}, headers=headers)
        reply = data.send(listed, credential, who=name)
        if not reply.ok:
            return [f"{name}: its documents cannot be listed: {reply.shown()}"]
        rows = reply.json()["data"]
        for row in rows:
            gone = ask("DELETE /v1/documents/{id}", {"id": row["id"]}, headers=headers)
            data.send(gone, credential, who=name)
        if not rows:
            return []
    return [f"{name}: it has too many documents"]


def put_stale_away(
    operator: Operator,
    data: Wire,
    tenants: Sequence[Mapping[str, Any]],
    now: datetime,
    ending: Ending,
    engine_for: EngineFor,
) -> None:
    """What an audit left that was killed. A Ctrl-C ends it once the canary at hand is away."""
    for row in tenants:
        ours = row["name"].startswith(CANARY_PREFIX) and row["status"] == "active"
        if ours and _made_at(row["id"]) < now - _STALE_AFTER:
            with _undisturbed() as held:
                try:
                    engine = engine_for(row["id"])
                except Exception as problem:  # of a database, which must not keep its keys alive
                    engine = None
                    told = f"where its passages rest is not known: {type(problem).__name__}"
                    ending.problems.append(f"{row['name']}: {told}")
                put_away(operator, data, row, row["name"], ending, engine)
            for number in held:
                signal.raise_signal(number)


def _made_at(tenant_id: str) -> datetime:
    """Of a UUIDv7 in Crockford's base 32."""
    number = 0
    for letter in tenant_id.removeprefix("tnt_"):
        number = number * 32 + "0123456789abcdefghjkmnpqrstvwxyz".index(letter)
    return datetime.fromtimestamp((UUID(int=number).int >> 80) // 1_000, UTC)
