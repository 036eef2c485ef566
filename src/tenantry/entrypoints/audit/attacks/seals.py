"""What a thief of disk and database could exchange: sealed bytes and rows, between two canaries.

Only the canaries' own objects and rows are touched, and each is put back, also when it is
interrupted. A worker that still holds the opened bytes in memory answers from them: then the attack
shows nothing, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final
from uuid import uuid4

from tenantry.domain.audit import Wall
from tenantry.domain.document import Home
from tenantry.domain.ids import TenantId, prefix_of
from tenantry.entrypoints.audit import published
from tenantry.entrypoints.audit.attack import (
    HELD,
    Attack,
    Run,
    Verdict,
    found,
    held_if,
    not_run,
    void,
)
from tenantry.entrypoints.audit.attacks.caches import CACHE, REPLAYED
from tenantry.entrypoints.audit.attacks.places import (
    SEALED,
    engine_of,
    is_named,
    places,
    settled_places,
)
from tenantry.entrypoints.audit.canary import Canary
from tenantry.entrypoints.audit.credentials import Signature
from tenantry.entrypoints.audit.exchange import Reply, ask
from tenantry.entrypoints.audit.ground import Ground
from tenantry.entrypoints.audit.things import upload
from tenantry.ports.objects import ObjectKind

_NEWEST_ANSWER: Final = (
    "SELECT object_id FROM tenantry.answer WHERE tenant_id = $1 ORDER BY expires_at DESC LIMIT 1"
)
_EXCHANGES_MAX: Final = 5  # a merge may take the segment away under the attack
_COPY: Final = (
    "INSERT INTO tenantry.{0} SELECT (jsonb_populate_record(NULL::tenantry.{0},"
    " to_jsonb(t) || jsonb_build_object('tenant_id', $1::text))).* FROM tenantry.{0} t"
    " WHERE t.tenant_id = $2 AND t.{1} = $3"
)
_ADVANCE: Final = (
    "UPDATE tenantry.knowledge_partition SET generation = generation + 1 WHERE tenant_id = $1"
)


def seal_attacks() -> list[Attack]:
    segments = {
        "swapped": ("A's segment in the place of B's", lambda mine, theirs: theirs),
        "altered": ("B's segment with one bit changed", lambda mine, theirs: _flipped(mine)),
        "cut": ("B's segment without its end", lambda mine, theirs: mine[:-17]),
        "spliced": (
            "B's header before A's frames",
            lambda mine, theirs: mine[:64] + theirs[64:],
        ),
    }
    attacks = [
        Attack(
            f"seal.segment-{name}",
            Wall.SEALS,
            f"{words} is not opened: B is refused, and told nothing of A.",
            _locally(_segment(change)),
            published.BY_ID_ALONE,
        )
        for name, (words, change) in segments.items()
    ]
    return [
        *attacks,
        Attack(
            "seal.original-swapped",
            Wall.SEALS,
            "A's sealed original in the place of B's is not given out to B.",
            _locally(_original),
        ),
        Attack(
            "seal.rows-moved",
            Wall.SEALS,
            "B's document, its rows and objects given to A in SQL and on disk, opens for nobody.",
            _locally(_moved),
        ),
        Attack(
            "seal.kept-answer-moved",
            Wall.SEALS,
            "B's answer under an idempotency key, moved into A's row, is not replayed to A.",
            _locally(_kept_answer),
        ),
        Attack(
            "seal.cached-answer-swapped",
            Wall.SEALS,
            "B's cached answer in the place of A's is not given to A.",
            _locally(_cached_answer),
        ),
        Attack(
            "seal.key-secret-swapped",
            Wall.SEALS,
            "The sealed secret of A's API key in the row of B's signs for nobody.",
            _locally(_key_secret),
        ),
    ]


def _locally(run: Run) -> Run:
    def local(ground: Ground) -> Verdict:
        if ground.local is None:
            return not_run(ground.not_local)
        return run(ground)

    return local


def _flipped(data: bytes) -> bytes:
    return data[:-40] + bytes([data[-40] ^ 1]) + data[-39:]


def home_of(who: Canary) -> Home:
    return Home(TenantId(who.id), who.account, who.own_kms_key)


def _search(ground: Ground, who: Canary, word: str) -> Reply:
    return ground.send(who, ask("POST /v1/search", body={"query": word, "top_k": 50}))


@contextmanager
def _in_place(
    ground: Ground,
    home: Home,
    kind: ObjectKind,
    object_id: str,
    data: bytes,
    still_there: Callable[[], bool] = lambda: True,
) -> Iterator[None]:
    """Other bytes under an object's name, for as long as the block runs. What nothing names any
    more is not put back: whoever took its name away deletes it, and would not again."""
    assert ground.local is not None, "asked where it is local"
    before = ground.local.get(home, kind, object_id)
    try:
        ground.local.put(home, kind, object_id, data)
        yield
    finally:
        if still_there():
            ground.local.put(home, kind, object_id, before)
        else:
            ground.local.delete(home, kind, object_id)


def _segment(change: Callable[[bytes, bytes], bytes]) -> Run:
    def run(ground: Ground) -> Verdict:
        engine = engine_of(ground)
        if engine != SEALED:
            return not_run(f"passages rest in the vector engine {engine}, and not in segments")
        for _ in range(_EXCHANGES_MAX):
            verdict = _with_segment(ground, change)
            if verdict is not None:
                return verdict
        return void("each time a merge had taken B's segment away before it was read")

    return run


def _with_segment(ground: Ground, change: Callable[[bytes, bytes], bytes]) -> Verdict | None:
    """What came of one exchange; None where the search had another segment to read."""
    local, kind, b = ground.local, ObjectKind.SEGMENT, ground.b
    assert local is not None, "asked where it is local"
    words = {who.name: who.word() for who in (ground.a, b)}
    document = {
        who.name: upload(ground, who, f"The sealed word is {words[who.name]}.")
        for who in (ground.a, b)
    }
    mine, _ = settled_places(ground, b, document["b"])
    theirs, _ = places(ground, ground.a, document["a"])
    data = change(local.get(home_of(b), kind, mine), local.get(home_of(ground.a), kind, theirs))
    named = partial(is_named, ground, b, mine)
    with _in_place(ground, home_of(b), kind, mine, data, named):
        reply = _search(ground, b, words["b"])
        was_read = named()
    after = _search(ground, b, words["b"])
    if words["a"] in reply.text:
        return found("B was shown A's passage")
    if not was_read:
        return None
    if words["b"] in reply.text:
        return void("the worker had the segment open and did not read it")
    if reply.ok:
        return found("the exchanged segment was passed over in silence")
    return HELD if words["b"] in after.text else void(f"B did not recover: {after.shown()}")


def _original(ground: Ground) -> Verdict:
    local, kind = ground.local, ObjectKind.ORIGINAL
    assert local is not None, "asked where it is local"
    word = ground.a.word()
    document = {
        "a": upload(ground, ground.a, f"The original word is {word}."),
        "b": upload(ground, ground.b, f"The original word is {ground.b.word()}."),
    }
    _, theirs = places(ground, ground.a, document["a"])
    _, mine = places(ground, ground.b, document["b"])
    content = ask("GET /v1/documents/{id}/content", {"id": document["b"]})
    data = local.get(home_of(ground.a), kind, theirs)
    with _in_place(ground, home_of(ground.b), kind, mine, data):
        reply = ground.send(ground.b, content)
    after = ground.send(ground.b, content)
    if reply.ok:
        return found("B was given A's original" if word in reply.text else "it was answered 200")
    return HELD if after.ok else void(f"B did not recover: {after.shown()}")


def _moved(ground: Ground) -> Verdict:
    local = ground.local
    assert local is not None, "asked where it is local"
    if not local.passes_row_security():
        return not_run("the administrator of this database does not pass row security")
    a, b, word = ground.a.id, ground.b.id, ground.b.word()
    document = upload(ground, ground.b, f"The moved word is {word}.")
    segment, original = settled_places(ground, ground.b, document)
    kinds = [(ObjectKind.ORIGINAL, original)]
    if prefix_of(segment) == SEALED:
        kinds.append((ObjectKind.SEGMENT, segment))
    try:
        for kind, name in kinds:
            local.put(home_of(ground.a), kind, name, local.get(home_of(ground.b), kind, name))
        local.change(
            (_COPY.format("segment", "segment_id"), (a, b, segment)),
            (_COPY.format("document", "document_id"), (a, b, document)),
            (_ADVANCE, (a,)),
        )
        found_rows = is_named(ground, ground.a, segment)
        replies = [
            ground.send(ground.a, ask("GET /v1/documents/{id}", {"id": document})),
            ground.send(ground.a, ask("GET /v1/documents/{id}/content", {"id": document})),
            _search(ground, ground.a, word),
        ]
    finally:
        local.change(
            (
                "DELETE FROM tenantry.document WHERE tenant_id = $1 AND document_id = $2",
                (a, document),
            ),
            ("DELETE FROM tenantry.segment WHERE tenant_id = $1 AND segment_id = $2", (a, segment)),
            (_ADVANCE, (a,)),
        )
        for kind, name in kinds:
            local.delete(home_of(ground.a), kind, name)
    after = _search(ground, ground.a, "word")
    if not found_rows or not after.ok:
        return void("the rows could not be moved, or not be taken back")
    if any(word in reply.text for reply in replies):
        return found("A was shown B's words")
    return held_if(not any(reply.ok for reply in replies[:2]), "A was served B's document")


def _kept_answer(ground: Ground) -> Verdict:
    local = ground.local
    assert local is not None, "asked where it is local"
    if not local.passes_row_security():
        return not_run("the administrator of this database does not pass row security")
    asked = {
        who.name: ask(
            "POST /v1/search",
            body={"query": f"{who.word()} note"},
            headers={"idempotency-key": str(uuid4())},
        )
        for who in (ground.a, ground.b)
    }
    first = {who.name: ground.send(who, asked[who.name]) for who in (ground.a, ground.b)}
    ids = {name: reply.headers.get("x-tenantry-request-id") for name, reply in first.items()}
    again = ground.send(ground.a, asked["a"])
    if again.headers.get(REPLAYED) != "true":
        return void(f"A's own repetition was answered {again.shown()}")
    local.change(
        (
            "UPDATE tenantry.idempotency SET sealed = (SELECT sealed FROM tenantry.idempotency"
            " WHERE tenant_id = $3 AND request_id = $4::uuid)"
            " WHERE tenant_id = $1 AND request_id = $2::uuid",
            (ground.a.id, ids["a"], ground.b.id, ids["b"]),
        )
    )
    reply = ground.send(ground.a, asked["a"])
    return held_if(not reply.ok, "an answer was replayed that is not A's")


def _cached_answer(ground: Ground) -> Verdict:
    local, kind = ground.local, ObjectKind.ANSWER
    assert local is not None, "asked where it is local"
    line, path = "POST /model/{model}/converse", {"model": str(ground.plan["default_model"])}
    objects, asked = {}, {}
    for who in (ground.a, ground.b):
        text = [{"text": f"Say {who.word()}."}]
        messages = [{"role": "user", "content": text}]
        body = {"messages": messages, "inferenceConfig": {"maxTokens": 32}}
        asked[who.name] = ask(line, path, body=body)
        ground.send(who, asked[who.name])
        if ground.send(who, asked[who.name]).headers.get(CACHE) != "hit":
            return void(f"canary {who.name}'s own repetition was no hit")
        newest = local.rows("app", _NEWEST_ANSWER, who.id, tenant=who.id)
        ((objects[who.name],),) = newest
    data = local.get(home_of(ground.b), kind, objects["b"])
    with _in_place(ground, home_of(ground.a), kind, objects["a"], data):
        reply = ground.send(ground.a, asked["a"])
    return held_if(reply.headers.get(CACHE) is None, "A was given what B was answered")


def _key_secret(ground: Ground) -> Verdict:
    local = ground.local
    assert local is not None, "asked where it is local"
    if not local.passes_row_security():
        return not_run("the administrator of this database does not pass row security")
    mine, theirs = ground.operator.key(ground.a.id), ground.operator.key(ground.b.id)
    control = ground.operator.key(ground.b.id)
    asked = ask("GET /v1/documents")
    signature = Signature(control.access_key_id, control.secret, ground.now())
    own = ground.send(ground.b, asked, signature)
    local.change(_secret_of(ground.b.id, theirs.id, ground.a.id, mine.id))
    forged = Signature(theirs.access_key_id, mine.secret, ground.now())
    reply = ground.stranger(asked, forged)
    for tenant, key in ((ground.a.id, mine), (ground.b.id, theirs), (ground.b.id, control)):
        ground.operator.revoke(tenant, key.id)
    if not own.ok:
        return void(f"a signature of B's own was answered {own.shown()}")
    if reply.ok or reply.tenant is not None:
        return found("A's secret signed as B")
    return HELD


def _secret_of(tenant: str, key: str, other: str, other_key: str) -> tuple[str, Sequence[object]]:
    return (
        "UPDATE tenantry.api_key SET secret_sealed = (SELECT secret_sealed FROM tenantry.api_key"
        " WHERE tenant_id = $3 AND api_key_id = $4) WHERE tenant_id = $1 AND api_key_id = $2",
        (tenant, key, other, other_key),
    )
