"""Forged credentials: tokens, keys of one tenant with the secret of another, replays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tenantry.domain.audit import Wall
from tenantry.entrypoints.audit import published
from tenantry.entrypoints.audit.attack import HELD, Attack, Verdict, found, void
from tenantry.entrypoints.audit.attacks.controls import served_as, strangers_only
from tenantry.entrypoints.audit.credentials import (
    Credential,
    Signature,
    altered,
    bearer,
    header,
    signed,
    signed_for,
    token,
)
from tenantry.entrypoints.audit.exchange import Ask, ask
from tenantry.entrypoints.audit.ground import Ground

_LISTED: Final = ask("GET /v1/documents")
_ASKED: Final = ask("POST /v1/search", body={"query": "What is the word of this note?"})
_BEYOND: Final = timedelta(minutes=10)  # twice the window
_RSA_BITS: Final = 2_048


def key_attacks() -> list[Attack]:
    return [
        *(_signed(*row) for row in _SIGNATURES),
        *(_token(name, words) for name, words in _TOKENS.items()),
        *(_bearer(name, words, made) for name, (words, made) in _BEARERS.items()),
        Attack(
            "signature.own",
            Wall.CREDENTIALS,
            "A request that is signed as it should be is served as the key's tenant.",
            lambda ground: served_as(ground.a, ground.send(ground.a, _LISTED, _own(ground))),
        ),
        Attack(
            "key.suspended-tenant",
            Wall.CREDENTIALS,
            "A suspended tenant's good API key is refused, on a read and on a call of a model.",
            _suspended,
        ),
        Attack(
            "key.expired",
            Wall.CREDENTIALS,
            "An API key is refused after its end.",
            lambda ground: strangers_only(ground, _LISTED, bearer(ground.a.things["expired-key"])),
        ),
    ]


def _own(ground: Ground) -> Signature:
    return signed(ground.a.key, ground.now())


# id, sentence, the request that is sent, and its signature
_Row = tuple[str, str, Ask, Callable[[Ground], Credential]]
_SIGNATURES: Final[tuple[_Row, ...]] = (
    (
        "secret-of-b",
        "The access key of A with a signature by B's secret is refused.",
        _LISTED,
        lambda ground: replace(_own(ground), secret=ground.b.key.secret),
    ),
    (
        "key-of-b",
        "The access key of B with a signature by A's secret is refused.",
        _LISTED,
        lambda ground: replace(_own(ground), access_key_id=ground.b.key.access_key_id),
    ),
    (
        "name-exchanged",
        "A's whole signature under B's access key is refused.",
        _LISTED,
        lambda ground: altered(
            _own(ground),
            lambda text: text.replace(ground.a.key.access_key_id, ground.b.key.access_key_id),
        ),
    ),
    (
        "altered",
        "A signature with its last digit changed is refused.",
        _LISTED,
        lambda ground: altered(_own(ground), lambda text: text[:-1] + _other(text[-1])),
    ),
    (
        "empty",
        "An empty signature is refused.",
        _LISTED,
        lambda ground: altered(_own(ground), lambda text: text.rpartition("=")[0] + "="),
    ),
    (
        "body-exchanged",
        "A signature that was made for another body is refused.",
        _ASKED,
        lambda ground: signed_for(_own(ground), replace(_ASKED, body=b'{"query": "other"}')),
    ),
    (
        "path-exchanged",
        "A signature that was made for another path is refused.",
        _LISTED,
        lambda ground: signed_for(_own(ground), replace(_LISTED, path="/v1/limits")),
    ),
    (
        "query-exchanged",
        "A signature that was made for another query is refused.",
        replace(_LISTED, query="limit=100"),
        lambda ground: signed_for(_own(ground), _LISTED),
    ),
    (
        "method-exchanged",
        "A signature that was made for another method is refused.",
        ask("DELETE /v1/documents/{id}", {"id": "doc_" + "0" * 26}),
        lambda ground: signed_for(
            _own(ground), ask("GET /v1/documents/{id}", {"id": "doc_" + "0" * 26})
        ),
    ),
    (
        "replayed",
        "A request that was signed ten minutes ago is refused.",
        _LISTED,
        lambda ground: replace(_own(ground), at=ground.now() - _BEYOND),
    ),
    (
        "postdated",
        "A request that is signed for ten minutes from now is refused.",
        _LISTED,
        lambda ground: replace(_own(ground), at=ground.now() + _BEYOND),
    ),
    (
        "redated",
        "An old signature with a fresh date beside it is refused.",
        _LISTED,
        lambda ground: _redated(ground),
    ),
    (
        "other-service",
        "A signature for another AWS service is refused.",
        _LISTED,
        lambda ground: replace(_own(ground), service="s3"),
    ),
    (
        "host-unsigned",
        "A signature that leaves out the host is refused.",
        _LISTED,
        lambda ground: replace(_own(ground), leaves_out=frozenset({"host"})),
    ),
    (
        "date-unsigned",
        "A signature that leaves out its date is refused.",
        _LISTED,
        lambda ground: _redated(ground, leaves_out=frozenset({"x-amz-date"})),
    ),
    (
        "groups-unsigned",
        "A signed request to which somebody has added groups is refused.",
        _LISTED,
        lambda ground: replace(
            _own(ground),
            leaves_out=frozenset({"x-tenantry-groups"}),
            says={"x-tenantry-groups": "audit"},
        ),
    ),
    (
        "payload-unsigned",
        "A signature over UNSIGNED-PAYLOAD is refused.",
        _ASKED,
        lambda ground: replace(_own(ground), says={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}),
    ),
    (
        "session-token",
        "A signature with a session token is refused: nobody hands any out.",
        _LISTED,
        lambda ground: replace(_own(ground), says={"x-amz-security-token": "token"}),
    ),
)


def _signed(
    name: str, sentence: str, asked: Ask, credential: Callable[[Ground], Credential]
) -> Attack:
    def run(ground: Ground) -> Verdict:
        own = ground.send(ground.a, asked, _own(ground))
        if own.tenant != ground.a.id:
            return void("the same request is refused under its own signature")
        return strangers_only(ground, asked, credential(ground))

    return Attack(f"signature.{name}", Wall.CREDENTIALS, sentence, run)


def _redated(ground: Ground, leaves_out: frozenset[str] = frozenset()) -> Credential:
    old = replace(_own(ground), at=ground.now() - _BEYOND, leaves_out=leaves_out)
    fresh = ground.now().strftime("%Y%m%dT%H%M%SZ")

    def credential(asked: Ask, host: str) -> Mapping[str, str]:
        return {**old(asked, host), "x-amz-date": fresh}

    return credential


def _other(digit: str) -> str:
    return "0" if digit != "0" else "1"


_TOKENS: Final = {
    "alg-none": "that says it needs no signature",
    "alg-none-signed": "that says so and has one",
    "hs256-guessed": "signed with a word that is often used",
    "hs256-empty": "signed with nothing",
    "hs256-public-key": "whose HMAC key is a public key's text",
    "rs256-unknown": "of a key that nobody has published",
    "wrong-issuer": "of another issuer",
    "expired": "that has ended",
    "key-by-url": "that says where its own key is to be fetched",
    "key-within": "that brings its own key along",
}


def _token(name: str, words: str) -> Attack:
    def run(ground: Ground) -> Verdict:
        forged = _forged(name, ground)
        for credential in (bearer(forged), header("x-api-key", forged)):
            verdict = strangers_only(ground, _LISTED, credential)
            if verdict != HELD:
                return verdict
        return HELD

    sentence = f"A JSON web token for tenant B {words} is refused."
    return Attack(f"token.{name}", Wall.CREDENTIALS, sentence, run)


def _forged(name: str, ground: Ground) -> str:
    """A token that names tenant B in every claim that an issuer might use for it."""
    now = int(ground.now().timestamp())
    claims: dict[str, Any] = {
        "iss": "https://issuer.example",
        "sub": "audit",
        "aud": "tenantry",
        "iat": now,
        "exp": now + 600,
        **dict.fromkeys(("tenant", "tenant_id", "tid", "custom:tenant_id", "org_id"), ground.b.id),
        "scope": "infer search documents:write admin",
    }
    if name == "expired":
        claims |= {"iat": now - 7_200, "exp": now - 3_600}
    if name == "wrong-issuer":
        claims["iss"] = "https://other.example"
    if name.startswith("alg-none"):
        return token({"alg": "none", "typ": "JWT"}, claims, b"x" if "signed" in name else None)
    secret = {"hs256-guessed": b"secret", "hs256-empty": b"", "hs256-public-key": _public_key()}
    head: dict[str, Any] = {"alg": "HS256", "typ": "JWT", "kid": "1"}
    if name not in secret:
        head["alg"] = "RS256"
    if name == "key-by-url":
        head |= {"jku": "http://127.0.0.1:9/keys.json", "x5u": "http://127.0.0.1:9/keys.pem"}
    if name == "key-within":
        head["jwk"] = {"kty": "oct", "k": "c2VjcmV0"}
    return token(head, claims, secret.get(name, b"secret"))


def _public_key() -> bytes:
    key = generate_private_key(65_537, _RSA_BITS).public_key()
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


_BEARERS: Final[Mapping[str, tuple[str, Callable[[Ground], Credential]]]] = {
    "cut": ("An API key without its last character", lambda g: bearer(g.a.key.bearer[:-1])),
    "longer": ("An API key with a character more", lambda g: bearer(g.a.key.bearer + "A")),
    "altered": (
        "An API key with its last character changed",
        lambda g: bearer(g.a.key.bearer[:-1] + ("A" if g.a.key.bearer[-1] != "A" else "B")),
    ),
    "lower-case": ("An API key in lower case", lambda g: bearer(g.a.key.bearer.lower())),
    "two-halves": (
        "Half an API key of A and half of B's",
        lambda g: bearer(g.a.key.bearer[:23] + g.b.key.bearer[23:]),
    ),
    "secret-as-bearer": ("The SigV4 secret as a bearer key", lambda g: bearer(g.a.key.secret)),
    "id-as-bearer": ("An API key's id as a bearer key", lambda g: bearer(g.a.key.id)),
    "access-key-as-bearer": (
        "An access key id as a bearer key",
        lambda g: bearer(g.a.key.access_key_id),
    ),
    "tenant-as-bearer": ("A tenant's id as a bearer key", lambda g: bearer(g.b.id)),
    "basic": (
        "A tenant's id and API key as basic authentication",
        lambda g: header("authorization", "Basic YXVkaXQ6YXVkaXQ="),
    ),
    "cookie": (
        "An API key in a cookie",
        lambda g: header("cookie", f"key={g.a.key.bearer}; tenant={g.b.id}"),
    ),
    "wild": ("A pattern of SQL as a bearer key", lambda g: bearer("tk_%' OR '1'='1")),
}


def _bearer(name: str, words: str, made: Callable[[Ground], Credential]) -> Attack:
    def run(ground: Ground) -> Verdict:
        return strangers_only(ground, _LISTED, made(ground))

    return Attack(
        f"key.{name}", Wall.CREDENTIALS, f"{words} opens nothing.", run, published.ONE_KEY
    )


def _suspended(ground: Ground) -> Verdict:
    """Canary C was served before it was suspended: `region.own-call` would be void otherwise."""
    if ground.c.things.get("served") is None:
        return void("the tenant was never served before it was suspended")
    ground.operator.post(f"/tenants/{ground.c.id}/suspend")
    for asked in (_LISTED, _ASKED):
        reply = ground.send(ground.c, asked)
        if reply.status != 403:
            return found(f"{asked.operation} was answered {reply.shown()}")
    return HELD
