"""The headers that attribute a request inside its tenant, validated and bounded.

None of them can name a tenant: that comes from the credentials alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from tenantry.application.context import Idempotency
from tenantry.application.retrieval import TOP_K_MAX
from tenantry.domain.access import tags_from
from tenantry.domain.budget import RUN_WORDS, is_run
from tenantry.domain.end_user import user_from
from tenantry.domain.errors import BadRequest
from tenantry.domain.sigv4 import DECIDING_PREFIXES
from tenantry.entrypoints.http.errors import Family
from tenantry.entrypoints.http.knowledge.multipart_body import PARTS_MAX
from tenantry.entrypoints.http.wire.request import Request, text_of

KNOWLEDGE_HEADER: Final = "x-tenantry-knowledge"
TAGS_MAX: Final = 8
TAGS_WORDS: Final = (
    f"at most {TAGS_MAX} pairs `key=value`, joined by commas: keys of 1 to 64 letters, digits and "
    "`_.-`, each once, and values of 1 to 128 letters, digits, spaces and `_.:/@+-`"
)

_TAG_KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.:/@+ -]{1,128}", re.ASCII)
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_INVOCATION = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)
_TOP_K = re.compile(r"[0-9]{1,9}", re.ASCII)
_ATTEMPT = re.compile(r"attempt=([0-9]{1,4})(?![0-9])", re.ASCII)
_BOUNDARY = re.compile(
    r'multipart/form-data\s*;\s*boundary=(?:"([^"]{1,200})"|([^";\s]{1,200}))', re.I
)


def user_of(headers: Mapping[str, str]) -> str | None:
    return user_from(_text(headers, "x-tenantry-user"))


def groups_of(headers: Mapping[str, str]) -> frozenset[str]:
    """`x-tenantry-groups: sales, legal`; absent: none, which sees untagged documents only."""
    value = _text(headers, "x-tenantry-groups")
    if value is None or not value.strip():
        return frozenset()
    return tags_from(value.split(","), field="x-tenantry-groups")


def tags_of(headers: Mapping[str, str]) -> dict[str, str]:
    """`x-tenantry-tags: feature=chat, team=a`, at most 8."""
    value = headers.get("x-tenantry-tags")
    if value is None or not value.strip():
        return {}
    tags: dict[str, str] = {}
    for part in value.split(",", TAGS_MAX + 1):
        key, _, item = (piece.strip() for piece in part.partition("="))
        if not _TAG_KEY.fullmatch(key) or not _TAG_VALUE.fullmatch(item) or key in tags:
            raise BadRequest(f"`x-tenantry-tags` takes {TAGS_WORDS}.")
        tags[key] = item
    if len(tags) > TAGS_MAX:
        raise BadRequest(f"`x-tenantry-tags` takes {TAGS_WORDS}.")
    return tags


def run_of(headers: Mapping[str, str]) -> str | None:
    value = headers.get("x-tenantry-run")
    if value is not None and not is_run(value):
        raise BadRequest(f"`x-tenantry-run` takes {RUN_WORDS}.")
    return value


def knowledge_of(headers: Mapping[str, str]) -> int | None:
    """How many passages a chat asks for; None: it asks for none."""
    value = headers.get(KNOWLEDGE_HEADER)
    if value is None:
        return None
    if not _TOP_K.fullmatch(value) or not 1 <= int(value) <= TOP_K_MAX:
        raise BadRequest(
            f"`{KNOWLEDGE_HEADER}` takes the number of passages, a whole one from 1 to {TOP_K_MAX}."
        )
    return int(value)


def refuse_knowledge(headers: Mapping[str, str]) -> None:
    """A call that would be answered without the documents it asks for is refused instead."""
    if KNOWLEDGE_HEADER in headers:
        raise BadRequest(
            f"`{KNOWLEDGE_HEADER}` is not taken here, where bodies are passed on as they are: "
            "use Converse or ConverseStream."
        )


def idempotency_of(request: Request, family: Family, *, form: bool = False) -> Idempotency | None:
    """`Idempotency-Key`; on the Bedrock wire else the SDK's own `amz-sdk-invocation-id`.
    `form`: the route takes forms."""
    if request.method != "POST":
        return None
    headers = request.headers
    given = headers.get("idempotency-key")
    if given is not None:
        if not _IDEMPOTENCY_KEY.fullmatch(given):
            raise BadRequest("`Idempotency-Key` takes 1 to 255 visible ASCII characters.")
        return Idempotency(given, _digest(request, form=form), implied=False)
    invocation = headers.get("amz-sdk-invocation-id")
    if family != "bedrock" or invocation is None or not _INVOCATION.fullmatch(invocation):
        return None
    attempt = _ATTEMPT.match(headers.get("amz-sdk-request", ""))
    resent = attempt is not None and int(attempt[1]) > 1
    return Idempotency(invocation, _digest(request, form=form), implied=True, resent=resent)


def _digest(request: Request, *, form: bool) -> bytes:
    """Of the body and all else that decides the answer: the same body on another route, for other
    groups or with another guardrail is another request."""
    told = sorted(item for item in request.header_items if item[0].startswith(DECIDING_PREFIXES))
    lines = [request.raw_path, request.raw_query, *(f"{name}:{value}" for name, value in told)]
    digest = hashlib.sha256("\n".join(lines).encode("latin-1", "replace"))
    digest.update(b"\n\n")
    boundary = _BOUNDARY.match(request.headers.get("content-type", "")) if form else None
    if boundary is None:
        digest.update(request.body)
        return digest.digest()
    # Every sending of a form has a boundary of its own, which decides nothing: its parts do.
    mark = b"--" + (boundary[1] or boundary[2]).encode("latin-1")
    for part in request.body.split(mark, PARTS_MAX + 1):  # one with more is refused
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()


def _text(headers: Mapping[str, str], name: str) -> str | None:
    value = headers.get(name)
    try:
        return None if value is None else text_of(value)
    except ValueError:
        raise BadRequest(f"`{name}` is not valid UTF-8.") from None
