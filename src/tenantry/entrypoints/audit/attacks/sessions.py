"""Sessions of a conversation over a knowledge base: whose they are, and what an id of one tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tenantry.domain.audit import Wall
from tenantry.entrypoints.audit import published
from tenantry.entrypoints.audit.attack import Attack, Verdict, found, held_if, not_run, void
from tenantry.entrypoints.audit.canary import Canary
from tenantry.entrypoints.audit.exchange import Reply, ask
from tenantry.entrypoints.audit.ground import Ground
from tenantry.entrypoints.audit.recipes import own_ask

_LINE: Final = "POST /retrieveAndGenerate"
_MEMBER: Final = "sessionId"


def session_attacks() -> list[Attack]:
    return [
        Attack(
            "session.foreign",
            Wall.IDS,
            "A session of A, gone on with by B, is not there, and B is told nothing of it.",
            _foreign,
            published.DATASETS,
        ),
        Attack(
            "session.tells",
            Wall.EXISTENCE,
            "A session of A is refused to B byte for byte as one that never was.",
            _tells,
        ),
        Attack(
            "session.other-groups",
            Wall.GROUPS,
            "A session is not gone on with by other groups of the tenant.",
            lambda ground: _of_others(ground, {"x-tenantry-groups": "audit-board"}),
        ),
        Attack(
            "session.other-user",
            Wall.IDS,
            "A session is not gone on with by another end user of the tenant.",
            lambda ground: _of_others(ground, {"x-tenantry-user": "other@example.com"}),
        ),
    ]


def _turn(
    ground: Ground,
    who: Canary,
    session: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    asked: dict[str, Any] = json.loads(own_ask(ground, who, _LINE).body)
    if session is not None:
        asked[_MEMBER] = session
    return ground.send(who, ask(_LINE, body=asked), headers=headers)


def _begun(ground: Ground) -> str | Verdict:
    """A session of A that A itself can go on with."""
    if ground.operation(_LINE) is None:
        return not_run("this version has no sessions")
    first = _turn(ground, ground.a)
    session = first.json().get(_MEMBER)
    if not isinstance(session, str):
        return void(f"A's first turn was answered {first.shown()}")
    again = _turn(ground, ground.a, session)
    return session if again.ok else void(f"A's second turn was answered {again.shown()}")


def _foreign(ground: Ground) -> Verdict:
    session = _begun(ground)
    if isinstance(session, Verdict):
        return session
    reply = _turn(ground, ground.b, session)
    if reply.ok:
        return found("B went on with A's session")
    return held_if(reply.status == 404, f"it was answered {reply.shown()}")


def _tells(ground: Ground) -> Verdict:
    session = _begun(ground)
    if isinstance(session, Verdict):
        return session
    never = session[:-8] + "00000000"
    replies = [_turn(ground, ground.b, name).comparable(name) for name in (session, never)]
    return held_if(replies[0] == replies[1], "it is refused otherwise")


def _of_others(ground: Ground, headers: Mapping[str, str]) -> Verdict:
    session = _begun(ground)
    if isinstance(session, Verdict):
        return session
    reply = _turn(ground, ground.a, session, headers)
    return held_if(reply.status == 404, f"it was answered {reply.shown()}")
