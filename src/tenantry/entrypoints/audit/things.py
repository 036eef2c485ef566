"""Kinds of things that belong to one tenant: how a canary makes one, and sees whether it is whole.

A collection of a route (`documents` of `/v1/documents/{id}`) names a kind; one that is in neither
table below is a finding, so that a new kind of thing does not go without attacks.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tenantry.entrypoints.audit.canary import Canary
from tenantry.entrypoints.audit.exchange import Reply, ask
from tenantry.entrypoints.audit.ground import Ground

_ID_CHARS: Final = "0123456789abcdefghjkmnpqrstvwxyz"


class NoSuchThing(Exception):
    """A canary could not make a thing of its own."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`make` returns the new thing's id; `witness` what must not change of it by anyone else."""

    make: Callable[[Ground, Canary], str]
    witness: Callable[[Ground, Canary, str], object]
    guess: Callable[[str], str]  # an id of the same form that names nothing


def made(reply: Reply, what: str) -> Any:
    if not reply.ok:
        raise NoSuchThing(f"{what} could not be made: {reply.shown()}")
    return reply.json()


def upload(ground: Ground, who: Canary, text: str, **members: Any) -> str:
    """A document's id. Its words are the canary's alone."""
    body = {"title": f"Note {who.word()}", "text": text, **members}
    reply = ground.send(who, ask("POST /v1/documents", body=body))
    document_id: str = made(reply, "a document")["id"]
    who.secrets.add(document_id)
    return document_id


def _document(ground: Ground, who: Canary) -> str:
    return upload(ground, who, f"The word of this note is {who.word()}.")


def _document_is(ground: Ground, who: Canary, thing: str) -> object:
    told = ground.send(who, ask("GET /v1/documents/{id}", {"id": thing}))
    text = ground.send(who, ask("GET /v1/documents/{id}/content", {"id": thing}))
    return told.status, told.json(), text.status, text.body


def _key(ground: Ground, who: Canary) -> str:
    body = {"name": f"audit {who.word()}"}  # it ends with the key that makes it
    told = made(ground.send(who, ask("POST /v1/keys", body=body)), "an API key")
    who.secrets |= {told["id"], told["key"], told["access_key_id"], told["secret_access_key"]}
    key_id: str = told["id"]
    return key_id


def _key_is(ground: Ground, who: Canary, thing: str) -> object:
    rows = ground.operator.every("/keys", tenant=who.id)
    return [row for row in rows if row["id"] == thing]


def _budget(ground: Ground, who: Canary) -> str:
    body = {"scope": "run", "scope_id": who.word(), "period": "total", "limit": "7"}
    told = made(ground.send(who, ask("POST /v1/budgets", body=body)), "a budget")
    who.secrets.add(told["id"])
    budget_id: str = told["id"]
    return budget_id


def _budget_is(ground: Ground, who: Canary, thing: str) -> object:
    rows = ground.operator.every("/budgets", tenant=who.id)
    return [row for row in rows if row.get("id") == thing]


def _knowledge_base(ground: Ground, who: Canary) -> str:
    """A tenant has one: nothing is made."""
    return who.things["knowledge_base"]


def _knowledge_base_is(ground: Ground, who: Canary, thing: str) -> object:
    return ground.send(who, ask("GET /v1/limits")).json().get("knowledge_base_id")


def _other_letters(thing: str) -> str:
    return "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in thing)


def _other_tail(thing: str) -> str:
    """The same prefix and length, and other characters after it."""
    prefix, mark, tail = thing.rpartition("_")
    return prefix + mark + "".join(secrets.choice(_ID_CHARS) for _ in tail)


def _other_run(thing: str) -> str:
    """A budget's id says its subject, so the guess is the id of another run's."""
    encoded = thing.removeprefix("bud_")
    text = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    subject, _, rest = text.partition(" ")
    scope, _, which = subject.partition(":")
    other = "".join(secrets.choice(_ID_CHARS[10:]) for _ in which)
    renamed = base64.urlsafe_b64encode(f"{scope}:{other} {rest}".encode()).decode().rstrip("=")
    return f"bud_{renamed}"


KINDS: Final[Mapping[str, Kind]] = {
    "document": Kind(_document, _document_is, _other_tail),
    "key": Kind(_key, _key_is, _other_tail),
    "budget": Kind(_budget, _budget_is, _other_run),
    "knowledge-base": Kind(_knowledge_base, _knowledge_base_is, _other_letters),
}
BATCH_JOB: Final = "batch job"
# Of what no canary has: how an id of the same form is made that names nothing.
GUESSES: Final[Mapping[str, Callable[[str], str]]] = {
    "invoice": lambda thing: f"{thing[:-1]}000",
    BATCH_JOB: lambda thing: f"{thing[:-12]}{secrets.token_hex(6)}",
}
# The collection of a route's parameter → the kind of thing that it names.
KIND_OF: Final[Mapping[str, str]] = {
    "documents": "document",
    "keys": "key",
    "budgets": "budget",
    "invoices": "invoice",
    "knowledgebases": "knowledge-base",
    "batch_jobs": BATCH_JOB,
}
# Names that belong to no tenant: models, guardrails of an account, their versions, sections.
COMMON: Final = frozenset({"model", "models", "guardrail", "version", "export"})
