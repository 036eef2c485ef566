"""Answers that may be given again: named, sealed, bounded, and gone when their time is over.

Owns: what makes two requests equal, what may be kept, and where. Does not own: what a hit costs
(`application/cached_answers.py`). Invariants: a name is an HMAC under a subkey of one tenant, so no
tenant meets another's answer; an answer is kept only after its settlement, as the end user's whom
the request named when it began; whatever goes wrong here is a miss, never a failure of the request.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tenantry.application.context import RequestContext
from tenantry.application.planning import PlannedChat
from tenantry.application.round import Round
from tenantry.domain.document import Home, home_of
from tenantry.domain.errors import Corrupt, NotFound, Unavailable
from tenantry.domain.tenant import Principal
from tenantry.ports.answer_cache import AnswerIndex, ExpiredAnswers, StoredAnswer
from tenantry.ports.clock import Clock
from tenantry.ports.keys import Purpose, Sealer
from tenantry.ports.labels import Labels
from tenantry.ports.objects import ObjectKind, Objects

ANSWERS_MAX: Final = 1_000  # of a tenant
ANSWER_BYTES_MAX: Final = 262_144
SWEEP_EVERY_S: Final = 20.0
EXPIRED_MAX: Final = 500  # of one sweep; the rest comes with the next
_KIND: Final = "answer"
_OPERATIONS: Final = frozenset({"Converse", "InvokeModel"})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AnswerName:
    """Of a request's answer, and of the end user whose it will be."""

    digest: bytes
    user_hash: str | None


@dataclass(frozen=True, slots=True)
class AnswerStore:
    """One for each worker."""

    index: AnswerIndex
    objects: Objects
    sealer: Sealer
    labels: Labels
    clock: Clock

    async def name(self, ctx: RequestContext, planned: PlannedChat) -> AnswerName | None:
        """The name of the request's answer; None where it can have none.

        Equal are requests of one tenant with the same model, body (with all that the plan adds to
        it), headers, tier, end user and groups.
        """
        chat, call = planned.chat, planned.planned
        native_guarded = call.guarded and chat.operation != "Converse"
        if chat.operation not in _OPERATIONS or native_guarded:
            return None
        try:
            user_hash = None
            if ctx.user is not None:
                user_hash = await self.labels.user_hash(ctx.principal, ctx.user)
            request = {
                "operation": chat.operation,
                "model": call.resolved.upstream_id,
                "region": call.region,
                "body": planned.body,
                "headers": dict(chat.headers),
                "tier": chat.service_tier,
                "user": user_hash,
                "groups": sorted(ctx.groups or ()),
                "shows_trace": not call.hides_trace,
            }
            canonical = json.dumps(request, sort_keys=True, ensure_ascii=True).encode()
            home = home_of(ctx.principal.tenant)
            digest = await self.sealer.digest(home, Purpose.ANSWER_HMAC, canonical)
        except (NotFound, Corrupt, Unavailable):
            return None
        return AnswerName(digest, user_hash)

    async def find(self, principal: Principal, name: AnswerName) -> bytes | None:
        """The answer's body, or None. An entry that does not open makes room for the next."""
        tenant_id = principal.tenant_id
        try:
            object_id = await self.index.find(tenant_id, name.digest)
            if object_id is None:
                return None
            try:
                return await self.body(home_of(principal.tenant), name.digest, object_id)
            except (NotFound, Corrupt) as problem:
                _log.warning("a kept answer could not be read: %s", problem.code)
                await self.index.take_out(tenant_id, name.digest, object_id)
        except (NotFound, Corrupt, Unavailable) as problem:
            _log.warning("a kept answer could not be read: %s", problem.code)
        return None

    async def body(self, home: Home, name: bytes, object_id: str) -> bytes:
        """The kept answer of that name. Raises `NotFound`, `Corrupt`, `Unavailable`."""
        sealed = await self.objects.get(home, ObjectKind.ANSWER, object_id)
        return await self.sealer.open(home, _KIND, _bound(name, object_id), sealed)

    async def keep(self, ctx: RequestContext, name: AnswerName, body: bytes) -> None:
        """Keeps a request's answer for the plan's time; at most `ANSWERS_MAX` of a tenant, and none
        of an end user who was erased meanwhile."""
        principal = ctx.principal
        ttl_s = principal.tenant.plan.answer_cache_ttl_s
        if not ttl_s or len(body) > ANSWER_BYTES_MAX or not _whole(body):
            return
        home = home_of(principal.tenant)
        object_id = self.clock.random(16).hex()
        try:
            sealed = await self.sealer.seal(home, _KIND, _bound(name.digest, object_id), body)
            # The entry first: one without its object is a miss, an object without one an orphan.
            stored = StoredAnswer(home, name.digest, object_id, ctx.request_id, name.user_hash)
            if not await self.index.keep(stored, ttl_s, ANSWERS_MAX):
                return
            await self.objects.put(home, ObjectKind.ANSWER, object_id, sealed)
            # An erasure that came between the two has found an entry and no object.
            if await self.index.find(principal.tenant_id, name.digest) != object_id:
                await self.objects.delete(home, ObjectKind.ANSWER, object_id)
        except (NotFound, Corrupt, Unavailable) as problem:
            _log.warning("an answer could not be kept: %s", problem.code)


async def sweep_answers(expired: ExpiredAnswers, objects: Objects) -> int:
    """Deletes what has expired, object first, so that no entry is lost before its object."""
    found = await expired.expired(EXPIRED_MAX)
    for answer in found:
        await objects.delete(answer.home, ObjectKind.ANSWER, answer.object_id)
        await expired.forget(answer)
    return len(found)


def answers_round(expired: ExpiredAnswers, objects: Objects) -> Round:
    """What deletes answers whose time is over."""
    return Round("sweep-answers", SWEEP_EVERY_S, lambda: sweep_answers(expired, objects))


def _bound(name: bytes, object_id: str) -> str:
    """What an answer is sealed for: an entry that names another's object opens nothing."""
    return f"{name.hex()}/{object_id}"


def _whole(body: bytes) -> bool:
    """Not an answer that a guardrail has replaced or changed."""
    try:
        document = json.loads(body)
    except ValueError:
        return False
    return isinstance(document, Mapping) and not _intervened(document)


def _intervened(document: Mapping[str, Any]) -> bool:
    return document.get("stopReason") == "guardrail_intervened"
