"""What a thief of the vector engine's database could exchange: sealed passages of two canaries.

Of pgvector in the deployment's own database; the rows of other engines are out of reach here. Only
the canaries' own rows are touched, and each is put back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tenantry.domain.audit import Wall
from tenantry.entrypoints.audit import published
from tenantry.entrypoints.audit.attack import HELD, Attack, Run, Verdict, found, not_run, void
from tenantry.entrypoints.audit.attacks.places import SEALED, engine_of, places
from tenantry.entrypoints.audit.exchange import ask
from tenantry.entrypoints.audit.ground import Ground
from tenantry.entrypoints.audit.things import upload

_THERE: Final = "SELECT to_regclass('tenantry_vectors.passage') IS NOT NULL"
_SEALED: Final = (
    "SELECT sealed FROM tenantry_vectors.passage"
    " WHERE tenant_id = $1 AND segment_id = $2 AND row_number = 0"
)
_PUT: Final = (
    "UPDATE tenantry_vectors.passage SET sealed = $3"
    " WHERE tenant_id = $1 AND segment_id = $2 AND row_number = 0"
)
_MOVE: Final = (
    "INSERT INTO tenantry_vectors.passage"
    " (tenant_id, segment_id, row_number, dimensions, embedding, sealed)"
    " SELECT $1, segment_id, row_number, dimensions, embedding, sealed"
    " FROM tenantry_vectors.passage WHERE tenant_id = $2 AND segment_id = $3"
)
_TAKE_BACK: Final = "DELETE FROM tenantry_vectors.passage WHERE tenant_id = $1 AND segment_id = $2"
_EXCHANGES: Final = {
    "swapped": "A's sealed passage in the row of B's",
    "altered": "B's sealed passage with one bit changed",
    "moved": "A's row of the vector engine given to B in SQL",
}


def engine_row_attacks() -> list[Attack]:
    return [
        Attack(
            f"seal.engine-row-{name}",
            Wall.SEALS,
            f"{words} is not opened: B is refused, and told nothing of A.",
            _exchange(name),
            published.BY_ID_ALONE,
        )
        for name, words in _EXCHANGES.items()
    ]


def _exchange(name: str) -> Run:
    def run(ground: Ground) -> Verdict:
        if reason := _out_of_reach(ground):
            return not_run(reason)
        local = ground.local
        assert local is not None, "asked where it is local"
        words, segments, sealed = {}, {}, {}
        for who in (ground.a, ground.b):
            words[who.name] = who.word()
            document = upload(ground, who, f"The passage word is {words[who.name]}.")
            segments[who.name], _ = places(ground, who, document)
            rows = local.rows("superuser", _SEALED, who.id, segments[who.name])
            if not rows:
                return not_run("pgvector's rows are in another database than the deployment's")
            sealed[who.name] = bytes(rows[0][0])
        search = ask("POST /v1/search", body={"query": words["b"], "top_k": 50})
        with _exchanged(ground, name, segments, sealed):
            reply = ground.send(ground.b, search)
        after = ground.send(ground.b, search)
        if words["a"] in reply.text:
            return found("B was shown A's passage")
        if reply.ok:
            return found("the exchanged row was passed over in silence")
        return HELD if words["b"] in after.text else void(f"B did not recover: {after.shown()}")

    return run


def _out_of_reach(ground: Ground) -> str:
    """Why no row can be exchanged; empty where one can."""
    local = ground.local
    if local is None:
        return ground.not_local
    engine = engine_of(ground)
    if engine == SEALED:
        return "passages rest in sealed segments, and no vector engine has rows of them"
    if engine != "pgvector":
        return f"the rows of the vector engine {engine} are out of reach"
    if not local.passes_row_security():
        return "the administrator of this database does not pass row security"
    if not local.rows("superuser", _THERE)[0][0]:
        return "pgvector's rows are in another database than the deployment's"
    return ""


@contextmanager
def _exchanged(
    ground: Ground, name: str, segments: dict[str, str], sealed: dict[str, bytes]
) -> Iterator[None]:
    """The rows as an exchange leaves them, for as long as the block runs."""
    local = ground.local
    assert local is not None, "asked where it is local"
    mine = (ground.b.id, segments["b"])
    if name == "moved":
        there = (_MOVE, (ground.b.id, ground.a.id, segments["a"]))
        back: tuple[str, tuple[object, ...]] = (_TAKE_BACK, (ground.b.id, segments["a"]))
    else:
        other = sealed["a"] if name == "swapped" else _flipped(sealed["b"])
        there = (_PUT, (*mine, other))  # type: ignore[assignment]
        back = (_PUT, (*mine, sealed["b"]))
    try:
        local.change(there)
        yield
    finally:
        local.change(back)


def _flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])
