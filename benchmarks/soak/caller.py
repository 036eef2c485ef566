"""A tenant's client: it asks, and looks at every answer as its tenant would have to."""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import uuid4

from benchmarks.soak.cast import Member
from benchmarks.soak.course import ANSWER_S
from benchmarks.soak.reasons import BROKEN, UNREACHED
from benchmarks.soak.refusals import Family
from benchmarks.soak.wire import Answer, Asked, Line
from benchmarks.soak.world import World

_OVER_TLS: Final = 0.2
_KEPT: Final = 0.5
_ATTRIBUTED: Final = 0.3


class Caller:
    """One client of one tenant, with chance of its own."""

    def __init__(self, world: World, member: Member, chance: random.Random) -> None:
        self.world = world
        self.member = member
        self.chance = chance
        self._line = Line()

    def hang_up(self) -> None:
        """Lets go of the connection that is kept."""
        self._line.close()

    def ask(
        self,
        kind: str,
        family: Family,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        bearer: str | None = None,
        may: Collection[str] = (),
        must: str | None = None,
        leave_after: int | None = None,
    ) -> Answer | None:
        """The answer of a success; None where it was refused, left or lost, each for a reason.

        `may`: codes by which this request can be refused. `must`: the one by which it has to be,
        unless another reason comes first. Anything else is told to the journal.
        """
        sent = {"authorization": f"Bearer {bearer or self.member.key.bearer}", **(headers or {})}
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        pause_s = self.chance.random() * 0.3
        asked = Asked(method, path, body, sent, leave_after, pause_s)
        stack = self.world.stack
        secure = self.chance.random() < _OVER_TLS
        url = stack.https_url if secure else stack.url
        keep = not secure and leave_after is None and self.chance.random() < _KEPT
        answer = self._line.exchange(url, asked, stack.ca_bundle if secure else None, keep=keep)
        return self._judged(kind, family, asked, answer, {*may, *((must,) if must else ())}, must)

    def explained(self, answer: Answer, codes: Collection[str]) -> bool:
        """Whether anything explains one of these codes, of this tenant, over this request."""
        explain = self.world.reasons.explain
        return explain(codes, self.member.id, answer.began, answer.ended)

    def attributes(self) -> dict[str, str]:
        """Sometimes an end user, tags or a run."""
        chance = self.chance
        found = {}
        if chance.random() < _ATTRIBUTED:
            found["x-tenantry-user"] = f"user-{chance.randrange(20)}@example.com"
        if chance.random() < _ATTRIBUTED:
            found["x-tenantry-tags"] = f"feature=f{chance.randrange(4)}"
        if chance.random() < _ATTRIBUTED / 3:
            found["x-tenantry-run"] = f"run-{chance.randrange(10)}"
        return found

    def fresh_key(self) -> dict[str, str]:
        return {"idempotency-key": str(uuid4())}

    def told_charge(self, answer: Answer, charge: str | None = None) -> None:
        """Keeps what an answer that ended well said of its charge, in its header if not given."""
        said = charge or answer.headers.get("x-tenantry-charge")
        if said is not None:
            self.member.was_charged(answer.headers["x-tenantry-request-id"], said)

    def broke(self, what: str, kind: str, answer: Answer | None, detail: str = "") -> None:
        """Tells the journal, with all by which the request is found again."""
        words = [self.member.name, self.member.role.name, kind]
        if answer is not None:
            request = answer.headers.get("x-tenantry-request-id", "no id")
            words += [request, f"status {answer.status}", f"{answer.took_s:.2f} s", answer.why]
            words += [repr(answer.body[:300])]
        self.world.journal.broke(what, " | ".join([*filter(None, words), detail]))

    def _judged(
        self,
        kind: str,
        family: Family,
        asked: Asked,
        answer: Answer,
        expected: Collection[str],
        must: str | None,
    ) -> Answer | None:
        journal = self.world.journal
        if foreign := self.member.foreign_words(answer.body):
            self.broke("foreign words", kind, answer, ", ".join(sorted(foreign)))
        if answer.end == "silent" or answer.took_s > ANSWER_S:
            self.broke("no answer in time", kind, answer, f"{asked.method} {asked.path}")
            return None
        if answer.end in (BROKEN, UNREACHED):
            journal.ended(kind, answer.end)
            if not self.explained(answer, {answer.end}):
                self.broke("connection lost", kind, answer, f"{asked.method} {asked.path}")
            return None
        if answer.end == "left" or 200 <= answer.status < 300:
            journal.ended(kind, "left" if answer.end == "left" else "answered")
            if must is not None and answer.end == "whole":
                self.broke("served in place of a refusal", kind, answer, must)
            return answer if answer.end == "whole" else None
        codes = self.world.refusals.codes(answer, family)
        journal.ended(kind, "refused")
        if not codes:
            self.broke("undocumented refusal", kind, answer, repr(dict(answer.headers)))
        elif not codes & set(expected) and not self.explained(answer, codes):
            self.broke("refused without a reason", kind, answer, ", ".join(sorted(codes)))
        return None
